/** `login`: the call to a business service at every login. */
import type { Static } from '../../schema.ts'
import { Type } from '../../schema.ts'
import type { DeepReadonly, Draft, RuleContext } from '../section.ts'
import { duration, mapping, matching, oneOf, section, text } from '../terms.ts'
import { milliseconds } from '../units.ts'
import { checkDestination, type UpstreamsDraft } from './upstreams.ts'

/** Short, because claims travel in every token. */
export const claimPattern = '^[A-Za-z][A-Za-z0-9_]{0,31}$'
export const claimForm = 'a claim name: a letter, then at most 31 letters, digits or "_"'

export const login = section('Steps of a login besides the exchange of the code.', {
  hook: Type.Optional(
    mapping('A call to a business service at every login, which may add claims to the token.', {
      upstream: text('Upstream that is called.'),
      path: text('Path there.'),
      timeout: duration('Deadline for the call.', '3s', { min: '10ms', max: '60s' }),
      onFailure: oneOf('Result of a login whose call fails.', ['refuse', 'continue'], 'refuse'),
      claims: Type.Array(matching('Claim name.', claimPattern, claimForm), {
        description: 'Claims that the service may set.',
        default: [],
        maxItems: 32,
        uniqueItems: true
      })
    })
  )
})

export type LoginDraft = Draft<{ login: Static<typeof login> }>
export type LoginHookConfig = NonNullable<DeepReadonly<ReturnType<typeof resolveLogin>>['hook']>

export function checkLogin(draft: LoginDraft & UpstreamsDraft, { report }: RuleContext): void {
  checkDestination(draft.login?.hook ?? {}, ['login', 'hook'], draft, report)
}

export function resolveLogin({ hook }: Static<typeof login>) {
  return { hook: hook === undefined ? null : { ...hook, timeout: milliseconds(hook.timeout) } }
}
