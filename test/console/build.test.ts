/** The files of the web console in the repository: built from their sources, small, without code in
 *  the document. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { bundleConsole } from '../../scripts/build-console.ts'
import { ROOT } from '../support/markdown.ts'

const ASSETS = join(ROOT, 'src/console/assets')
const LARGEST_GZIP_BYTES = 150 * 1024

const names = readdirSync(ASSETS)
const read = (name: string) => readFileSync(join(ASSETS, name))

test('the files of the console are those that its sources give: npm run build:console', async (t) => {
  const built = await bundleConsole()
  t.same([...built.keys()].sort(), names.sort())
  for (const [name, content] of built) t.ok(content.equals(read(name)), name)
})

test('the console has at most 150 KiB, compressed', (t) => {
  const bytes = names.reduce((total, name) => total + gzipSync(read(name)).length, 0)
  t.ok(bytes > 10 * 1024 && bytes <= LARGEST_GZIP_BYTES, String(bytes))
  t.end()
})

test('the document has no code and no style of its own, and names no other host', (t) => {
  const html = read('index.html').toString()
  t.notMatch(html, /<script[^>]*>[^<]|<style| style=| on\w+=|https?:/)
  t.notMatch(read('app.css').toString(), /url\(|@import/)
  t.end()
})
