/** The published form of the mini-program client: current, small, and without features that a
 *  phone may lack. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'acorn'
import { test } from 'tap'
import { compileClient, installClient } from '../miniprogram/build.mts'
import { CLIENT, startClient } from './support/mini-program.ts'
import { runProgram } from './support/programs.ts'
import { createWx } from './support/wx.ts'

const root = join(import.meta.dirname, '..')

function readFolder(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort()
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
}

const dist = readFolder(CLIENT)
const scripts = Object.entries(dist).filter(([name]) => name.endsWith('.js'))

test('miniprogram_dist is what the source compiles to', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-miniprogram-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const built = join(folder, 'dist')
  await compileClient(built)
  t.strictSame(readFolder(built), dist, 'else: npm run build:miniprogram')
})

test('the client is in the repository once, and is installed where the developer tools look for it', async (t) => {
  const sample = t.testdir({ miniprogram_npm: { 'wxgate-miniprogram': { 'old.js': '' }, other: { 'index.js': '' } } })
  await installClient(sample)
  t.strictSame(Object.entries(readFolder(join(sample, 'miniprogram_npm/wxgate-miniprogram'))), scripts)
  t.strictSame(readdirSync(join(sample, 'miniprogram_npm')), ['other', 'wxgate-miniprogram'])
  t.match(readFileSync(join(root, '.gitignore'), 'utf8'), /^examples\/miniprogram\/miniprogram_npm\/$/m)
})

test('the client is ECMAScript 5 and writes nothing to the console', async (t) => {
  t.ok(scripts.length > 10)
  let size = 0
  for (const [name, source] of scripts) {
    t.doesNotThrow(() => parse(source, { ecmaVersion: 5 }), name)
    t.notMatch(source, /\bconsole\b|\beval\b|new Function|\bprocess\b/, name)
    for (const [, required] of source.matchAll(/require\("([^"]+)"\)/g))
      t.ok(`${required}.js`.slice(2) in dist, String(required))
    size += source.length
  }
  t.ok(size < 160_000, `${size} characters`)
})

test('it runs with only ECMAScript 5, Promise, timers and wx', async (t) => {
  const wx = createWx(t, {})
  const { load, createClient } = startClient(wx)
  t.same(Object.keys(load('index.js') as object).sort(), ['createClient', 'isWxgateError'])
  const client = createClient({ baseUrl: 'https://gateway.example.com' })
  t.same(Object.keys(client).sort(), [
    'bindPhone',
    'connectSocket',
    'currentUser',
    'downloadFile',
    'login',
    'logout',
    'onSessionEnd',
    'openData',
    'request',
    'session',
    'uploadFile'
  ])
  t.throws(() => createClient({ baseUrl: 'gateway' }), { code: 'invalid_url' })
  t.equal(wx.sent.length, 0)
})

test('the package holds the client and its types, and depends on nothing', async (t) => {
  const manifest = JSON.parse(readFileSync(join(root, 'miniprogram/package.json'), 'utf8'))
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  t.equal(manifest.version, own.version)
  t.equal(manifest.license, own.license)
  t.equal(manifest.miniprogram, 'miniprogram_dist')
  for (const field of ['dependencies', 'peerDependencies', 'scripts']) t.notOk(field in manifest, field)
  const { stdout } = await runProgram('npm', ['pack', '--dry-run', '--json', '--offline', '--loglevel=error'], {
    cwd: join(root, 'miniprogram')
  })
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  t.strictSame(
    files.map(({ path }) => path).sort(),
    ['LICENSE', 'README.md', 'package.json', ...Object.keys(dist).map((name) => `miniprogram_dist/${name}`)].sort()
  )
})
