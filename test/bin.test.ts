/** bin/wxgate.js finds a Node that is new enough, and passes arguments, signals and the exit
 *  status through. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import type { Readable } from 'node:stream'
import { type Test, test } from 'tap'

const BIN = join(import.meta.dirname, '../bin/wxgate.js')

/** Makes this Node look old to a process without a lifeline, which is only the outer one. */
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
  /** The installed package: this Node, one that cannot run (the text of a script), or none. */
  readonly withNode: boolean | string
}

/** Lays out a package in a temporary folder. Returns a function that starts its command on an
 *  old Node or on this one. */
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
  if (withNode !== false) {
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
    const linked = join(folder, 'node_modules/.bin/node')
    if (typeof withNode === 'string') writeFileSync(linked, withNode, { mode: 0o755 })
    else symlinkSync(process.execPath, linked)
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

test('without a Node that is new enough, one sentence names the version to install', async (t) => {
  const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: false })
  const { status, stdout, stderr } = await finished(start(true, 'version'))
  t.equal(status, 2)
  t.equal(stdout, '')
  t.match(stderr, /^wxgate needs Node 24 or newer and this is v[\d.]+: install Node 24 \(LTS\)\.$/m)
})

test('signals reach the real process once, and its exit status comes back', async (t) => {
  const child = layOut(t, { root: '.', main: 'src/main.ts', withNode: true })(true, 'run')
  await nextLine(child)
  child.kill('SIGHUP')
  t.equal(await nextLine(child), 'SIGHUP')
  child.kill('SIGTERM')
  t.match(await finished(child), { status: 7, signal: null, stdout: /^SIGTERM\n$/ })
})

test('the real process ends when its parent is killed, and the parent when it is', async (t) => {
  const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: true })
  const outer = start(true, 'run')
  await nextLine(outer)
  outer.kill('SIGKILL')
  // Both write to the same pipe, which ends when both have ended.
  t.match(await finished(outer), { signal: 'SIGKILL' })

  const other = start(true, 'run')
  process.kill(JSON.parse(await nextLine(other)).pid, 'SIGKILL')
  t.match(await finished(other), { status: null, signal: 'SIGKILL' })
})

/** A program whose loader does not exist, as glibc's on Alpine: the kernel reports ENOENT. */
const NO_LOADER = '#!/lib64/no-such-loader.so.2\n'
const NO_LIBRARY = `#!/bin/sh
echo "node: error while loading shared libraries: libatomic.so.1: cannot open shared object file" >&2
exit 127
`

test('an installed Node that cannot run is named in one sentence, with the reason', async (t) => {
  for (const [script, reason] of [
    [NO_LOADER, 'it is built for glibc'],
    [NO_LIBRARY, 'error while loading shared libraries: libatomic.so.1: cannot open shared object file'],
    ['#!/bin/sh\necho v22.1.0\n', 'it is v22.1.0']
  ] as const) {
    const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: script })
    const { status, stdout, stderr } = await finished(start(true, 'version'))
    t.equal(status, 2, reason)
    t.equal(stdout, '')
    const sentences = stderr.trim().split('\n')
    t.equal(sentences.length, 1)
    t.match(
      sentences[0],
      `and the Node that npm installed cannot run on this system (${reason}): install Node 24 (LTS).`
    )
  }
})

test("a system's Node that is new enough takes precedence over an installed one that cannot run", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-bin-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [installed, system] = [join(folder, 'node_modules/.bin'), join(folder, 'usr-bin')]
  for (const path of [installed, system]) mkdirSync(path, { recursive: true })
  writeFileSync(join(installed, 'node'), NO_LOADER, { mode: 0o755 })
  symlinkSync(process.execPath, join(system, 'node'))
  // PATH as npm sets it for scripts and for npx.
  const env = { PATH: [installed, system, process.env.PATH].join(delimiter) }
  for (const [program, ...args] of [
    ['sh', '-c', `node "${BIN}" version`],
    ['env', 'node', BIN, 'version'],
    [BIN, 'version']
  ] as const) {
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    t.match(await finished(child), { status: 0, stdout: /^wxgate \d/, stderr: '' }, program)
  }
})

test('SIGUSR1 does not open the debugger', async (t) => {
  const start = layOut(t, { root: '.', main: 'src/main.ts', withNode: true })
  for (const isOld of [false, true]) {
    const child = start(isOld, 'run')
    const { pid } = JSON.parse(await nextLine(child)) as { pid: number }
    for (const target of new Set([pid, child.pid ?? pid])) process.kill(target, 'SIGUSR1')
    child.kill('SIGHUP')
    t.equal(await nextLine(child), 'SIGHUP', 'the process lives on')
    child.kill('SIGTERM')
    t.match(await finished(child), { status: 7, stderr: '' }, 'no message of a debugger')
  }
})
