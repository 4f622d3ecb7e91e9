/** `secrets`: the keys that sign and encrypt. */
import { type Static, Type } from '../../schema.ts'
import { checkStrength, hasFewCharacters, KEYGEN } from '../secret-text.ts'
import { type Draft, entries, type RuleContext, refuseInProduction, reportRepeats } from '../section.ts'
import { secret } from '../terms.ts'
import { type AppsDraft, SANDBOX } from './apps.ts'
import type { ServiceDraft } from './service.ts'
import { isRedis, type StoreDraft } from './store.ts'

/** The word for a secret that the first start makes. */
export const GENERATED = 'generated'

const SHORTEST = 32

export const secrets = Type.Array(
  secret(
    'At least 32 characters, as `wxgate keygen` prints them; the word `generated` makes one at the first start and keeps it beside the sqlite store.'
  ),
  {
    description: 'The first one signs and encrypts, all verify and decrypt. To rotate, put a new one first.',
    minItems: 1,
    maxItems: 16
  }
)

export type SecretsDraft = Draft<{ secrets: Static<typeof secrets> }>

export function checkSecrets(draft: SecretsDraft & StoreDraft, context: RuleContext): void {
  const { report } = context
  const written = entries(draft.secrets)
  reportRepeats(
    written.map(([index, secret]) => [['secrets', index], secret]),
    (line) => `is the same as the one on line ${line}`,
    report
  )
  for (const [index, secret] of written) {
    const path = ['secrets', index]
    if (secret === GENERATED) checkGenerated(index, draft, context)
    else if (secret.length >= SHORTEST && hasFewCharacters(secret)) {
      report.error(path, 'can be guessed: it has too few different characters', KEYGEN)
    } else checkStrength(secret, SHORTEST, path, report)
  }
}

/** Warns of one value for two purposes: the holder of a service token could sign access tokens. */
export function checkCredentials(draft: SecretsDraft & AppsDraft & ServiceDraft, { report }: RuleContext): void {
  const owners = new Map<string, string>()
  for (const [index, secret] of entries(draft.secrets)) owners.set(secret, `secrets[${index}]`)
  for (const [index, { secret }] of entries(draft.apps)) {
    if (secret === undefined || secret === SANDBOX) continue
    const owner = owners.get(secret)
    if (owner?.startsWith('secrets')) report.warn(['apps', index, 'secret'], `is the same as ${owner}`, KEYGEN)
    else owners.set(secret, `apps[${index}].secret`)
  }
  for (const [index, { token }] of entries(draft.service?.tokens)) {
    const owner = token === undefined ? undefined : owners.get(token)
    if (owner !== undefined) report.warn(['service', 'tokens', index, 'token'], `is the same as ${owner}`, KEYGEN)
  }
}

function checkGenerated(index: number, { store }: StoreDraft, context: RuleContext): void {
  const path = ['secrets', index]
  refuseInProduction(context, path, 'a generated secret is refused', 'generated-secrets')
  if (store === undefined || !isRedis(store)) return
  const message = 'a generated secret belongs to one machine, and instances that share Redis must share the secret'
  context.report.error(path, message)
}
