/** Writes the generated files: config/gateway.schema.json and docs/configuration.md from the
 *  schema, its Chinese twin from src/config/sections/zh-CN too, docs/openapi and deploy/http from the
 *  endpoints, the score card of docs/security.md from the corpus of the self-test. With --check it
 *  writes nothing. Fails when a file is stale, or a Chinese text missing or older than the English. */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { parse } from 'yaml'
import { publishedSchema } from '../src/config/published-schema.ts'
import { createChinese, type Translation, translationFaults } from './configuration-chinese.ts'
import { english } from './configuration-english.ts'
import { configurationReference, describedKeys } from './configuration-reference.ts'
import { httpRequests } from './http-requests.ts'
import { openApiDocuments } from './openapi-documents.ts'
import { withScoreCard } from './score-card.ts'

const root = new URL('../', import.meta.url)
const example = readFileSync(new URL('config/gateway.example.yaml', root), 'utf8')

const chineseFiles = globSync('src/config/sections/zh-CN/*.yaml', { cwd: root }).map((name) =>
  readFileSync(new URL(name, root), 'utf8')
)
const translations = new Map(chineseFiles.flatMap((text) => Object.entries(parse(text) as Record<string, Translation>)))

const openApi = await openApiDocuments()
mkdirSync(new URL('docs/openapi/', root), { recursive: true })

const files = {
  'config/gateway.schema.json': `${JSON.stringify(publishedSchema(), null, 2)}\n`,
  'docs/configuration.md': configurationReference(example, english),
  'docs/configuration.zh-CN.md': configurationReference(example, createChinese(translations)),
  'docs/openapi/edge.json': openApi.edge,
  'docs/openapi/service.json': openApi.service,
  'deploy/http/wxgate.http': httpRequests(openApi.edge, openApi.service),
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

for (const fault of translationFaults(describedKeys(), translations)) {
  process.stderr.write(`src/config/sections/zh-CN: ${fault}\n`)
  process.exitCode = 1
}

function current(place: URL): string | null {
  try {
    return readFileSync(place, 'utf8')
  } catch {
    return null
  }
}
