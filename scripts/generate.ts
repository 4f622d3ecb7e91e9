/** Writes the generated files: config/gateway.schema.json and docs/configuration.md from the
 *  schema, docs/openapi and deploy/http from the endpoints, the score card of docs/security.md
 *  from the corpus of the self-test. The Chinese pages take their texts from the zh-CN files beside
 *  the sources. With --check it writes nothing. Fails when a file is stale, or a Chinese text. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { publishedSchema } from '../src/config/published-schema.ts'
import * as configurationChinese from './configuration-chinese.ts'
import { english as configurationEnglish } from './configuration-english.ts'
import { configurationReference, describedKeys } from './configuration-reference.ts'
import { httpRequests } from './http-requests.ts'
import { openApiDocuments } from './openapi-documents.ts'
import * as scoreCard from './score-card.ts'
import { readTranslations, translationFaults } from './translations.ts'

const root = new URL('../', import.meta.url)
const example = read('config/gateway.example.yaml')

const KEYS = 'src/config/sections/zh-CN/*.yaml'
const RULES = 'src/selftest/corpus/zh-CN/*.yaml'
const keys = readTranslations(root, KEYS)
const rules = readTranslations(root, RULES)

const openApi = await openApiDocuments()
mkdirSync(new URL('docs/openapi/', root), { recursive: true })

const files = {
  'config/gateway.schema.json': `${JSON.stringify(publishedSchema(), null, 2)}\n`,
  'docs/configuration.md': configurationReference(example, configurationEnglish),
  'docs/configuration.zh-CN.md': configurationReference(example, configurationChinese.createChinese(keys)),
  'docs/openapi/edge.json': openApi.edge,
  'docs/openapi/service.json': openApi.service,
  'deploy/http/wxgate.http': httpRequests(openApi.edge, openApi.service),
  'docs/security.md': scoreCard.withScoreCard(read('docs/security.md'), scoreCard.english),
  'docs/security.zh-CN.md': scoreCard.withScoreCard(read('docs/security.zh-CN.md'), scoreCard.createChinese(rules))
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

const faults = [
  ...translationFaults(describedKeys(), keys).map((fault) => `${KEYS}: ${fault}`),
  ...translationFaults(scoreCard.rules(), rules).map((fault) => `${RULES}: ${fault}`)
]
for (const fault of faults) {
  process.stderr.write(`${fault}\n`)
  process.exitCode = 1
}

function read(name: string): string {
  return readFileSync(new URL(name, root), 'utf8')
}

function current(place: URL): string | null {
  try {
    return readFileSync(place, 'utf8')
  } catch {
    return null
  }
}
