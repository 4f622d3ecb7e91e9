/** The word `generated` among the secrets. */
import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { GatewayConfig } from '../src/config/config.ts'
import { resolveGeneratedSecret } from '../src/config/generated-secret.ts'
import { configText, load, SECRET } from './support/config.ts'
import { PLAIN_ENV } from './support/process.ts'

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'wxgate-secret-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  return path
}

function config(store: string, secrets = '[generated]'): GatewayConfig {
  const result = load(configText({ secrets }, `store: ${store}`))
  if (!result.ok) throw new Error('not read')
  return result.config
}

test('a generated secret is made once beside the sqlite file, for its owner only', async (t) => {
  const path = folder(t)
  const written = config(`sqlite:${path}/data/wxgate.db`, `[${SECRET}, generated]`)
  t.notOk(existsSync(join(path, 'data')), 'loading creates nothing')
  const [first, made] = resolveGeneratedSecret(written).secrets
  t.equal(first, SECRET)
  t.equal(Buffer.from(made ?? '', 'base64').length, 32)
  t.equal(statSync(join(path, 'data', 'wxgate.secret')).mode & 0o777, 0o600)
  t.same(resolveGeneratedSecret(written).secrets, [SECRET, made])
  t.same(readdirSync(join(path, 'data')), ['wxgate.secret'])
})

test('processes that start at the same time agree on the generated secret', async (t) => {
  const path = folder(t)
  const module = new URL('../src/config/generated-secret.ts', import.meta.url).href
  const store = `sqlite:${path}/data/wxgate.db`
  const script = `import { resolveGeneratedSecret } from ${JSON.stringify(module)}
    process.stdout.write(resolveGeneratedSecret({ secrets: ['generated'], store: ${JSON.stringify(store)} }).secrets[0])`
  const run = () =>
    new Promise<string>((resolve) => {
      let output = ''
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: PLAIN_ENV
      })
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk
      })
      child.on('close', () => resolve(output))
    })
  const secrets = await Promise.all(Array.from({ length: 4 }, run))
  t.equal(new Set(secrets).size, 1)
  t.equal(secrets[0], readFileSync(join(path, 'data', 'wxgate.secret'), 'utf8').trim())
})

test('a secret file that others can read is closed, and one without a secret is refused', async (t) => {
  const path = folder(t)
  const file = join(path, 'wxgate.secret')
  writeFileSync(file, SECRET)
  chmodSync(file, 0o644)
  const written = config(`sqlite:${path}/wxgate.db`)
  t.same(resolveGeneratedSecret(written).secrets, [SECRET])
  t.equal(statSync(file).mode & 0o777, 0o600)
  writeFileSync(file, '')
  t.throws(() => resolveGeneratedSecret(written), /holds no secret/)
})

test('with a store in memory the generated secret survives a reload, and nothing else', async (t) => {
  const memory = { secret: null }
  const first = resolveGeneratedSecret(config('memory'), memory).secrets
  t.same(resolveGeneratedSecret(config('memory'), memory).secrets, first)
  t.notSame(resolveGeneratedSecret(config('memory')).secrets, first)
})

test('a new folder of the secret is closed to other users, whatever the umask', async (t) => {
  const path = folder(t)
  const umask = process.umask(0)
  try {
    resolveGeneratedSecret(config(`sqlite:${path}/a/b/wxgate.db`))
  } finally {
    process.umask(umask)
  }
  const modes = ['a', 'a/b', 'a/b/wxgate.secret'].map((name) => statSync(join(path, name)).mode & 0o777)
  t.same(modes, [0o700, 0o700, 0o600])
})

test('a secret file of another user is refused', async (t) => {
  const path = folder(t)
  const file = join(path, 'wxgate.secret')
  writeFileSync(file, SECRET, { mode: 0o600 })
  // A file of root is accepted from every user.
  if (process.geteuid?.() === 0) chownSync(file, 12_345, 12_345)
  const { uid } = statSync(file)
  const written = config(`sqlite:${path}/wxgate.db`)
  const memory = { secret: null }
  t.throws(() => resolveGeneratedSecret(written, memory, uid + 1), /belongs to another user \(uid \d+\): delete it/)
  t.same(resolveGeneratedSecret(written, memory, uid).secrets, [SECRET])
})
