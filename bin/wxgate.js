#!/usr/bin/env node
// The command `wxgate`. Runs on any Node from 20 on: finds a Node that is new enough and prepares
// the process.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { Socket } from 'node:net'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'

const OLDEST_MAJOR = 24
// Set for the child only and removed there, so that the child never starts another Node.
const LIFELINE = 'WXGATE_LIFELINE_FD'
const PARENT_CHECK_MS = 500
const PROBE_TIMEOUT_MS = 5000
const root = dirname(dirname(fileURLToPath(import.meta.url)))

// Without a listener, SIGUSR1 opens Node's debugger, and with it the memory that holds the secrets.
process.on('SIGUSR1', () => undefined)
followNpm()
if (majorOf(process.versions.node) >= OLDEST_MAJOR) await runHere()
else if (process.env[LIFELINE] === undefined) runElsewhere()
else fail(`wxgate needs Node ${OLDEST_MAJOR} or newer and this is ${process.version}.`)

async function runHere() {
  holdLifeline()
  const main = entry()
  if (!existsSync(main)) return fail('wxgate is not built: run "npm run build" first.')
  tuneMemory()
  keepCompiledCode(dirname(main))
  await import(pathToFileURL(main).href)
}

function runElsewhere() {
  const problems = []
  for (const node of installedNodes()) {
    const problem = problemOf(node)
    if (problem === null) return standInFor(node)
    problems.push(problem)
  }
  const because =
    problems.length === 0 ? '' : `, and the Node that npm installed cannot run on this system (${problems[0]})`
  fail(
    `wxgate needs Node ${OLDEST_MAJOR} or newer and this is ${process.version}${because}: install Node ${OLDEST_MAJOR} (LTS).`
  )
}

function entry() {
  const source = join(root, 'src', 'main.ts')
  // Node does not strip types inside node_modules. A package holds the compiled files only.
  if (existsSync(source) && !root.split(sep).includes('node_modules')) return source
  return join(root, 'dist', 'main.js')
}

/** Keeps memory small under load and saves a little CPU per request. */
function tuneMemory() {
  // V8 learns to allocate the parts of a request as long-lived objects, which only a full
  // collection frees: half a gigabyte of garbage accumulates before one runs.
  setFlagsFromString('--no-allocation-site-pretenuring')
  // Collects after the heap has grown by half. The default on a machine with free memory is
  // fourfold, which keeps a hundred megabytes of expired tokens.
  setFlagsFromString('--heap-growing-percent=50')
}

/** Halves the time of every start but the first. The cache lies beside the code, where only users
 *  who may change the code can write: through a shared folder others could inject code. Without
 *  write access nothing is cached. A new folder in node_modules would invalidate npm's record of
 *  it: each `npx wxgate` would read the manifests of all packages. */
function keepCompiledCode(folder) {
  nodeModule.enableCompileCache(join(folder, '.cache'))
  // The default is to write it at a regular exit, which a server may never reach.
  setTimeout(() => nodeModule.flushCompileCache(), 2000).unref()
}

/** npm runs a script in a shell, which dies of a signal without passing it on. */
function followNpm() {
  if (process.env.npm_lifecycle_event === undefined) return
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    process.kill(process.pid, 'SIGTERM')
  }, PARENT_CHECK_MS)
  watch.unref()
}

/** Paths of the Node that npm installed: linked in a .bin folder above, or in the package for
 *  this platform. */
function installedNodes() {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const found = []
  for (let folder = root; ; folder = dirname(folder)) {
    found.push(join(folder, 'node_modules', '.bin', file))
    if (folder === dirname(folder)) break
  }
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const { resolve } = nodeModule.createRequire(import.meta.url)
  for (const name of [`node-${platform}`, `node-bin-${platform}`]) {
    try {
      found.push(join(dirname(resolve(`${name}/package.json`)), 'bin', file))
    } catch {
      // Not installed: optional packages may be absent.
    }
  }
  return found.filter((path) => existsSync(path))
}

/** The reason why a Node cannot be used, or null. It may be built for another C library or lack
 *  a shared one. */
function problemOf(node) {
  const { error, status, stdout, stderr } = spawnSync(node, ['--version'], {
    encoding: 'utf8',
    timeout: PROBE_TIMEOUT_MS
  })
  // ENOENT for an existing file means that its program loader is missing, such as glibc's on
  // Alpine.
  if (error) return error.code === 'ENOENT' ? 'it is built for glibc' : String(error.code)
  if (status !== 0) return (stderr.trim().split('\n')[0] || `status ${status}`).replace(/^.*?: (?=error)/, '')
  return majorOf(stdout) >= OLDEST_MAJOR ? null : `it is ${stdout.trim()}`
}

function majorOf(version) {
  return Number(/^v?(\d+)\./.exec(version)?.[1] ?? 0)
}

/** Runs the real process with the same streams, signals and exit status. */
function standInFor(node) {
  // A separate process group: Ctrl-C and `timeout` signal a whole group, and a second signal would
  // cut the drain short.
  const child = spawn(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, [LIFELINE]: '3' },
    detached: process.platform !== 'win32'
  })
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => fail(`wxgate could not start ${node}: ${error.message}`))
  child.on('exit', (status, signal) => {
    if (signal === null) return process.exit(status ?? 1)
    for (const name of signals) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

/** Ends this process when the parent was killed: only then does the other end of the pipe close. */
function holdLifeline() {
  const fd = process.env[LIFELINE]
  if (fd === undefined) return
  delete process.env[LIFELINE]
  const lifeline = new Socket({ fd: Number(fd) })
  lifeline.on('error', () => undefined)
  lifeline.on('close', () => process.kill(process.pid, 'SIGKILL'))
  lifeline.resume()
  lifeline.unref()
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exitCode = 2
}
