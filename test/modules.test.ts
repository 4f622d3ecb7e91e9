/** Loads every module of src, so that coverage counts those that no other test reaches. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { ROOT } from './support/markdown.ts'

/** Runs a command when it is loaded. Tests start it as a separate process, where coverage
 *  counts it. */
const PROGRAM = 'src/main.ts'

/** The sources of the web console run in a browser. */
const BROWSER = join('src/console/app/')

const modules = globSync('src/**/*.ts', { cwd: ROOT }).filter((file) => file !== PROGRAM && !file.startsWith(BROWSER))

/** Handles that earlier tests left may close meanwhile. */
function additions(all: readonly string[], before: readonly string[]): string[] {
  const known = [...before]
  return all.filter((name) => {
    const at = known.indexOf(name)
    if (at >= 0) known.splice(at, 1)
    return at < 0
  })
}

test('importing a module opens no handle, and there is no default export', async (t) => {
  t.ok(modules.length > 100)
  const withHandles: string[] = []
  const withDefault: string[] = []
  for (const file of modules) {
    const before = process.getActiveResourcesInfo()
    const exported = Object.keys(await import(join(ROOT, file)))
    if (additions(process.getActiveResourcesInfo(), before).length > 0) withHandles.push(file)
    if (exported.includes('default')) withDefault.push(file)
  }
  t.same(withHandles, [])
  t.same(withDefault, [])
})

test('values of node:http come from src/node-http.ts: an import of them loads a second undici', (t) => {
  t.same(
    modules.filter((file) => /^import (?!type ).*from 'node:http'$/m.test(readFileSync(join(ROOT, file), 'utf8'))),
    []
  )
  t.end()
})

/** The bundle of the web console is generated. */
const sources = globSync('{src,bin,scripts,miniprogram/src}/**/*.{ts,tsx,js,mts}', { cwd: ROOT }).filter(
  (file) => !file.startsWith(join('src/console/assets/'))
)

test('a file has at most 250 lines, and a line of a comment 100 columns', (t) => {
  const tooLong = sources.flatMap((file) => {
    const lines = readFileSync(join(ROOT, file), 'utf8').trimEnd().split('\n')
    // A URL or a format cannot be wrapped.
    const wide = lines.filter(
      (line) => /^\s*(\/\/|\/?\*)/.test(line) && line.length > 100 && !line.split(' ').some((word) => word.length > 70)
    )
    return lines.length > 250 ? [file, ...wide] : wide
  })
  t.ok(sources.length > 500)
  t.same(tooLong, [])
  t.end()
})
