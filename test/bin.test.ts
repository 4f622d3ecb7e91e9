/** The file that `wxgate` is: it finds a Node that is new enough, and is transparent when it had to start another one. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Test, test } from 'tap'

const BIN = join(import.meta.dirname, '../bin/wxgate.js')

/** Makes this Node look old to whoever is started without a lifeline, which is the outer process only. */
const PRETEND_OLD = `if (process.env.WXGATE_LIFELINE_FD === undefined)
  Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })
`

const MAIN = `const args: string[] = process.argv.slice(2)
for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {
  process.stdout.write(signal + '\\n')
  if (signal === 'SIGTERM') process.exit(7)
})
process.stdout.write(JSON.stringify({ args, pid: process.pid, lifeline: process.env['WXGATE_LIFELINE_FD'] ?? null }) + '\\n')
if (args[0] === 'run') setInterval(() => undefined, 1000)
`

type Command = ChildProcessByStdio<null, Readable, Readable>

interface Layout {
  /** Below the temporary folder. */
  readonly root: string
  readonly main: 'src/main.ts' | 'dist/main.js' | null
  readonly withNode: boolean
}

/** Lays out a package of ours somewhere, and tells how to start its command on an old Node or on this one. */
function layOut(t: Test, { root, main, withNode }: Layout) {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-bin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const home = join(folder, root)
  mkdirSync(join(home, 'bin'), { recursive: true })
  copyFileSync(BIN, join(home, 'bin/wxgate.js'))
  writeFileSync(join(home, 'package.json'), '{"name":"wxgate","type":"module"}')
  writeFileSync(join(folder, 'old.cjs'), PRETEND_OLD)
  if (main !== null) {
    mkdirSync(join(home, dirname(main)))
    writeFileSync(join(home, main), main.endsWith('.ts') ? MAIN : MAIN.replaceAll(/: string\[\]| as const/g, ''))
  }
  if (withNode) {
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'))
  }
  return (old: boolean, ...args: string[]): Command => {
    const preload = old ? ['--require', join(folder, 'old.cjs')] : []
    const child = spawn(process.execPath, [...preload, join(home, 'bin/wxgate.js'), ...args], {
      env: { PATH: process.env.PATH ?? '' },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
}

async function textOf(stream: Readable): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

async function finished(child: Command) {
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([textOf(child.stdout), textOf(child.stderr)])
  const [status, signal] = await closed
  return { status, signal, stdout, stderr }
}

async function nextLine(child: Command): Promise<string> {
  const [chunk] = await once(child.stdout, 'data')
  return String(chunk).trim()
}

test('in the repository the source runs, in a package the compiled files', async (t) => {
  const repository = layOut(t, { root: 'repository', main: 'src/main.ts', withNode: false })
  const fromSource = await finished(repository(false, 'run it', '--x=1'))
  t.equal(fromSource.status, 0, fromSource.stderr)
  t.match(JSON.parse(fromSource.stdout), { args: ['run it', '--x=1'], lifeline: null })

  const installed = layOut(t, { root: 'node_modules/wxgate', main: 'dist/main.js', withNode: false })
  const fromPackage = await finished(installed(false, 'version'))
  t.match(JSON.parse(fromPackage.stdout), { args: ['version'] })

  const unbuilt = layOut(t, { root: 'node_modules/wxgate', main: 'src/main.ts', withNode: false })
  const refused = await finished(unbuilt(false, 'version'))
  t.equal(refused.status, 2)
  t.match(refused.stderr, /npm run build/)
})

test('a Node that is too old starts the one that npm installed', async (t) => {
  for (const root of ['.', 'node_modules/wxgate']) {
    const start = layOut(t, { root, main: root === '.' ? 'src/main.ts' : 'dist/main.js', withNode: true })
    const child = start(true, 'version', 'a b')
    const { status, stdout, stderr } = await finished(child)
    t.equal(status, 0, stderr)
    const told = JSON.parse(stdout)
    t.match(told, { args: ['version', 'a b'], lifeline: null }, root)
    t.not(told.pid, child.pid)
  }
})

test('without a Node that is new enough, one sentence says what to install', async (t) => {
  const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: false })
  const { status, stdout, stderr } = await finished(start(true, 'version'))
  t.equal(status, 2)
  t.equal(stdout, '')
  t.match(stderr, /^wxgate needs Node 24 or newer and this is v[\d.]+: install Node 26 \(LTS\)\.$/m)
})

test('signals reach the real process once, and its exit status comes back', async (t) => {
  const child = layOut(t, { root: '.', main: 'src/main.ts', withNode: true })(true, 'run')
  await nextLine(child)
  child.kill('SIGHUP')
  t.equal(await nextLine(child), 'SIGHUP')
  child.kill('SIGTERM')
  t.match(await finished(child), { status: 7, signal: null, stdout: /^SIGTERM\n$/ })
})

test('the real process does not outlive one that was killed, nor the other way round', async (t) => {
  const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: true })
  const outer = start(true, 'run')
  await nextLine(outer)
  outer.kill('SIGKILL')
  // Both write to the same pipe: it ends when neither is left.
  t.match(await finished(outer), { signal: 'SIGKILL' })

  const other = start(true, 'run')
  process.kill(JSON.parse(await nextLine(other)).pid, 'SIGKILL')
  t.match(await finished(other), { status: null, signal: 'SIGKILL' })
})
