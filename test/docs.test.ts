/** The documents agree with the product. */
import { existsSync, globSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { twinOf } from '../docs/.vitepress/pages.ts'
import { loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problem.ts'
import { allowances } from '../src/config/section.ts'
import { buildTestGateway, defaultConfig } from './support/gateway.ts'
import {
  blocksOf,
  codesIn,
  faultOfLink,
  linksOf,
  ROOT,
  readDocument,
  tableOf,
  withoutBlocks
} from './support/markdown.ts'
import { startUpstream } from './support/upstream.ts'

const documents = ['*.md', 'docs/**/*.md', 'bench/*.md', 'examples/**/*.md', 'miniprogram/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT, exclude: (name) => name.includes('node_modules') }))
  .sort()
const architecture = [
  ['docs/architecture.md', 'folder'],
  ['docs/architecture.zh-CN.md', '目录']
] as const
const operations = ['docs/operations.md', 'docs/operations.zh-CN.md']

test('every relative link has a target', (t) => {
  t.ok(documents.length > 10)
  for (const document of documents) {
    const faults = linksOf(readDocument(document)).flatMap((link) => faultOfLink(document, link) ?? [])
    t.same(faults, [], document)
  }
  t.end()
})

test('no document names a path of its author, or a registry', (t) => {
  for (const document of documents) {
    t.notMatch(readDocument(document), /(?<![\w/])\/(work|root|home|tmp)\/|registry\./, document)
  }
  t.end()
})

test('every npm script in a document is a script of package.json', (t) => {
  const { scripts } = JSON.parse(readDocument('package.json')) as { scripts: Record<string, string> }
  for (const document of documents) {
    for (const [, name = ''] of readDocument(document).matchAll(/npm (?:run )?(start|test|(?<=run )[a-z:-]+)/g)) {
      t.ok(Object.hasOwn(scripts, name), `${document}: ${name}`)
    }
  }
  t.end()
})

test('the documented fields of the access log are its fields', async (t) => {
  // The line of a failure has every field.
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(500).end())
  const gateway = await buildTestGateway(t, upstream.url, { config: { logging: { format: 'json', userAgent: true } } })
  const { access_token: token } = await gateway.login('alice')
  await gateway.call('/api/x', { token })
  const line = gateway.lines.find((entry) => entry.includes('"path":"/api/x"')) ?? '{}'
  const there = Object.keys(JSON.parse(line) as object).filter((field) => !['level', 'time', 'msg'].includes(field))
  for (const document of operations) {
    const head = document.includes('zh') ? '字段' : 'field'
    const told = tableOf(readDocument(document), head).flatMap(([field = '']) => codesIn(field))
    t.same(told.sort(), [...there].sort(), document)
  }
})

test('the settings that production refuses are listed by the names that allow them', (t) => {
  for (const document of operations) {
    const head = document.includes('zh') ? '名字' : 'name'
    t.same(
      tableOf(readDocument(document), head).flatMap(([name = '']) => codesIn(name)),
      allowances,
      document
    )
  }
  t.end()
})

/** The start of each line that is a heading, a fence, a row with its number of cells, or an item of
 *  a list. */
function partsOf(markdown: string): string[] {
  const lines = markdown.replaceAll(/^( *```\w*\n)[\s\S]*?^ *```$/gm, '$1').split('\n')
  return lines.flatMap((line) => {
    const start = /^ *(#+ |```\w*|\||- \[ \]|- |\d\. )/.exec(line)?.[1]
    if (start === undefined) return []
    return [start === '|' ? `| ${line.split(/(?<!\\)\|/).length}` : start]
  })
}

/** Text between backticks, outside of blocks. */
function wordsOf(markdown: string): string[] {
  return codesIn(withoutBlocks(markdown)).map((word) => word.replaceAll(/\s+/g, ' '))
}

/** Lines of the blocks with a language, without comments. A text that is shown to a user is
 *  null. */
function codeOf(markdown: string): (string | null)[] {
  return blocksOf(markdown)
    .filter(({ language }) => !['', 'mermaid'].includes(language))
    .flatMap(({ text }) => text.split('\n').map((line) => line.replace(/\s*(\/\/|#|--).*/, '')))
    .map((line) => (/\p{Script=Han}|Bind phone number/u.test(line) ? null : line))
}

test('each page has a twin in the other language, with links between them and the same parts', (t) => {
  const pages = documents.filter((document) =>
    /^(docs\/(decisions\/)?[\w-]+|CONTRIBUTING|SECURITY|README)\.md$/.test(document)
  )
  t.ok(pages.length > 50)
  const twins = documents.filter((document) => document.endsWith('.zh-CN.md'))
  t.same(twins.toSorted(), pages.map(twinOf).toSorted(), 'no Chinese page lacks its English one')
  for (const page of pages) {
    const twin = twinOf(page)
    if (!documents.includes(twin)) {
      t.fail(`${page} has no ${twin}`)
      continue
    }
    const [english = '', chinese = ''] = [page, twin].map(readDocument)
    t.ok(linksOf(english).includes(basename(twin)), page)
    t.ok(linksOf(chinese).includes(basename(page)), twin)
    t.same(partsOf(chinese), partsOf(english), `${twin}: headings, blocks, tables and lists`)
    t.same(codeOf(chinese), codeOf(english), `${twin}: code`)
    const words = new Set(wordsOf(chinese))
    const missing = wordsOf(english).filter((word) => !words.has(word))
    t.same(missing, [], `${twin} has the code words of the English page`)
  }
  t.end()
})

test('a link on a Chinese page leads to the Chinese page where there is one', (t) => {
  for (const document of documents.filter((name) => name.endsWith('.zh-CN.md'))) {
    const english = linksOf(readDocument(document))
      .map((link) => join(dirname(document), link.replace(/#.*/, '')))
      .filter((target) => documents.includes(twinOf(target)) && twinOf(target) !== document)
    t.same(english, [], document)
  }
  t.end()
})

test('the errors page lists the same codes in both languages, in the same order', (t) => {
  const [english, chinese] = ['docs/errors.md', 'docs/errors.zh-CN.md'].map((page) =>
    tableOf(readDocument(page), 'code').map(([code, status, action]) => `${code} ${status} ${action}`)
  )
  t.ok((english ?? []).length > 20)
  t.same(chinese, english)
  t.end()
})

test('the parts of a gateway.yaml on the operations page are valid', (t) => {
  for (const document of operations) {
    const parts = blocksOf(readDocument(document), 'yaml')
      .map(({ text }) => parse(text) as Record<string, unknown>)
      .filter((part) => !('apiVersion' in part))
    t.ok(parts.length > 0)
    for (const part of parts) {
      const text = JSON.stringify({ ...defaultConfig('http://127.0.0.1:3000'), ...part })
      const loaded = loadConfig({ file: 'gateway.yaml', text, env: {}, production: false, allow: new Set() })
      t.same(loaded.ok ? [] : loaded.problems.map(formatProblem), [], document)
    }
  }
  t.end()
})

test('the parts of a gateway.yaml on the page about routes are valid', (t) => {
  const url = 'http://127.0.0.1:3000'
  const upstreams = Object.fromEntries(['orders', 'staging', 'canary'].map((name) => [name, { targets: [{ url }] }]))
  const secret = () => ({ content: Buffer.from('a-key'), mode: 0o600 })
  for (const document of ['docs/routes.md', 'docs/routes.zh-CN.md']) {
    const parts = blocksOf(readDocument(document), 'yaml').map(({ text }) => parse(text) as Record<string, unknown>)
    t.equal(parts.length, 5)
    for (const part of parts) {
      const routes = [{ path: '/a', upstream: 'orders', ...('upstreams' in part ? {} : part) }]
      const text = JSON.stringify({ ...defaultConfig(url), upstreams, ...('upstreams' in part ? part : {}), routes })
      const env = { ORDERS_CREDENTIAL: 'b3JkZXJz' }
      const loaded = loadConfig({
        file: 'gateway.yaml',
        text,
        env,
        readFile: secret,
        production: false,
        allow: new Set()
      })
      t.same(loaded.ok ? [] : loaded.problems.map(formatProblem), [], document)
    }
  }
  t.end()
})

test('the folder map of the architecture page is the tree', (t) => {
  const there = readdirSync(join(ROOT, 'src')).filter(
    (name) => !name.startsWith('.') && statSync(join(ROOT, 'src', name)).isDirectory()
  )
  for (const [document, head] of architecture) {
    const page = readDocument(document)
    const told = tableOf(page, head).flatMap(([cell = '']) => codesIn(cell))
    const files = codesIn(page).filter((code) => code.startsWith('src/'))
    for (const path of [...told, ...files]) t.ok(existsSync(join(ROOT, path)), path)
    for (const folder of there) t.ok(told.includes(`src/${folder}`), `${document}: ${folder}`)
  }
  t.end()
})

test('every decision is linked from the architecture page of its language', (t) => {
  for (const [document] of architecture) {
    const linked = linksOf(readDocument(document))
    const isChinese = document.endsWith('.zh-CN.md')
    for (const name of readdirSync(join(ROOT, 'docs/decisions'))) {
      if (name.endsWith('.zh-CN.md') === isChinese) t.ok(linked.includes(`decisions/${name}`), name)
    }
  }
  t.end()
})

test('the warning of a public route that the security page shows is the one that validate gives', (t) => {
  for (const page of ['docs/security.md', 'docs/security.zh-CN.md'].map(readDocument)) {
    const part = parse(blocksOf(page, 'yaml')[0]?.text ?? '') as Record<string, unknown>
    const text = JSON.stringify({ ...defaultConfig('http://127.0.0.1:3000'), ...part })
    const loaded = loadConfig({
      file: 'gateway.yaml',
      text,
      env: {},
      production: true,
      allow: new Set(['sandbox', 'memory-store'])
    })
    const withoutPlace = (line: string) => line.replaceAll(/line \d+|:\d+:\d+/g, '')
    const shown = blocksOf(page, 'text')[0]?.text ?? ''
    const given = loaded.warnings.map((warning) => withoutPlace(`${formatProblem(warning)} [warning]\n`))
    t.ok(given.includes(withoutPlace(shown)), given.join(''))
  }
  t.end()
})
