/** `secrets`: the keys that sign and encrypt. */
import { type Static, Type } from 'typebox'
import { type Draft, entries, type RuleContext, refuseInProduction, reportRepeats } from '../section.ts'
import { secret } from '../terms.ts'
import { isRedis, type StoreDraft } from './store.ts'

/** Stands for a secret that is made at the first start. */
export const GENERATED = 'generated'

const SHORTEST = 32
const FEWEST_CHARACTERS = 8
const KEYGEN = 'wxgate keygen prints a good one'

export const secrets = Type.Array(
  secret(
    'At least 32 characters, as `wxgate keygen` prints them; the word `generated` makes one at the first start and keeps it beside the sqlite store.'
  ),
  {
    description: 'The first one signs and encrypts, all verify and decrypt. To rotate, put a new one in front.',
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
    else if (secret.length < SHORTEST) report.error(path, `must have at least ${SHORTEST} characters`, KEYGEN)
    else if (new Set(secret).size < FEWEST_CHARACTERS) {
      const message = `can be guessed: it has fewer than ${FEWEST_CHARACTERS} different characters`
      report.error(path, message, KEYGEN)
    }
  }
}

function checkGenerated(index: number, { store }: StoreDraft, context: RuleContext): void {
  const path = ['secrets', index]
  refuseInProduction(context, path, 'a generated secret is refused', 'generated-secrets')
  if (store === undefined || !isRedis(store)) return
  const message = 'a generated secret belongs to one machine, and instances that share Redis must share the secret'
  context.report.error(path, message)
}
