/** Writes what is made from the code: config/gateway.schema.json and docs/configuration.md from the schema, the score card
 *  of docs/security.md from the corpus of the self-test. With --check it writes
 *  nothing and fails when one of them is not what it would write. */
import { readFileSync, writeFileSync } from 'node:fs'
import { publishedSchema } from '../src/config/published-schema.ts'
import { configurationReference } from './configuration-reference.ts'
import { withScoreCard } from './score-card.ts'

const root = new URL('../', import.meta.url)
const example = readFileSync(new URL('config/gateway.example.yaml', root), 'utf8')

const files = {
  'config/gateway.schema.json': `${JSON.stringify(publishedSchema(), null, 2)}\n`,
  'docs/configuration.md': configurationReference(example),
  'docs/security.md': withScoreCard(readFileSync(new URL('docs/security.md', root), 'utf8'))
}

const isCheck = process.argv.includes('--check')
for (const [name, content] of Object.entries(files)) {
  const place = new URL(name, root)
  if (!isCheck) writeFileSync(place, content)
  else if (content !== current(place)) {
    process.stderr.write(`${name} is stale: run node scripts/generate.ts\n`)
    process.exitCode = 1
  }
}

function current(place: URL): string | null {
  try {
    return readFileSync(place, 'utf8')
  } catch {
    return null
  }
}
