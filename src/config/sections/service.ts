/** `service`: the private listener for backends and operators. */
import { type Static, Type } from 'typebox'
import { isLoopback, isSameListener } from '../../http/addresses.ts'
import type { Path } from '../problem.ts'
import { checkStrength } from '../secret-text.ts'
import {
  type DeepReadonly,
  type Draft,
  entries,
  type RuleContext,
  reportRepeats,
  warnUnlessAllowed
} from '../section.ts'
import { host, mapping, matching, port, secret, section, someOf } from '../terms.ts'
import type { ServerDraft } from './server.ts'

export const service = section(
  'The private listener for backends and operators. It must not be reachable from the internet.',
  {
    host: host('127.0.0.1', 'WXGATE_SERVICE_HOST'),
    port: port(9090, 'WXGATE_SERVICE_PORT'),
    tokens: Type.Array(
      mapping('A caller.', {
        name: matching(
          'Name of the caller, for the audit log.',
          '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
          'a name of letters, digits, "-", "_" and "."'
        ),
        token: secret('The caller sends it as `Authorization: Bearer`; at least 16 characters.'),
        scopes: someOf('Calls that the caller may make.', ['session', 'wxapi', 'pay', 'admin'])
      }),
      { description: 'The callers. Without any, `/v1` and `/wxapi` answer 401.', default: [], maxItems: 1024 }
    )
  }
)

export type ServiceDraft = Draft<{ service: Static<typeof service> }>
export type ServiceConfig = DeepReadonly<ReturnType<typeof resolveService>>
export type ServiceScope = ServiceConfig['tokens'][number]['scopes'][number]

const SHORTEST_TOKEN = 16

export function checkService(draft: ServiceDraft & ServerDraft, context: RuleContext): void {
  checkAddress(draft, context)
  checkTokens(draft, context)
}

function checkAddress({ server, service }: ServiceDraft & ServerDraft, context: RuleContext): void {
  const { host, port } = service ?? {}
  if (host !== undefined && !isLoopback(host)) {
    const message = 'the service listener can be reached from other machines: keep it out of reach of the internet'
    warnUnlessAllowed(context, ['service', 'host'], message, 'service-public')
  }
  if (port === undefined || port === 0 || port !== server?.port) return
  if (server.host !== undefined && host !== undefined && isSameListener(server.host, host)) {
    context.report.error(['service', 'port'], 'is the port of the public edge (server.port)')
  }
}

function checkTokens(draft: ServiceDraft, { report }: RuleContext): void {
  const tokens = entries(draft.service?.tokens)
  const pathOf = (index: number, key: string): Path => ['service', 'tokens', index, key]
  reportRepeats(
    tokens.map(([index, { name }]) => [pathOf(index, 'name'), name]),
    (line) => `is the name of another token, on line ${line}`,
    report
  )
  reportRepeats(
    tokens.map(([index, { token }]) => [pathOf(index, 'token'), token]),
    (line) => `is the same as the one on line ${line}`,
    report
  )
  for (const [index, { token }] of tokens) {
    if (token === undefined) continue
    const path = pathOf(index, 'token')
    // RFC 6750, section 2.1: the characters that can follow "Bearer" in a header.
    if (!/^[\x21-\x7e]+$/.test(token)) report.error(path, 'must be printable ASCII without spaces')
    else checkStrength(token, SHORTEST_TOKEN, path, report)
  }
}

export function resolveService({ host, port, tokens }: Static<typeof service>) {
  return { host, port, tokens }
}
