#!/usr/bin/env node
// The command `wxgate`. This file has to run on any Node, since its first task is to find one that is new enough.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { Socket } from 'node:net'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const OLDEST_MAJOR = 24
// Set for the child only, and taken away there: no loop when the Node found is too old as well.
const LIFELINE = 'WXGATE_LIFELINE_FD'
const root = dirname(dirname(fileURLToPath(import.meta.url)))

if (Number(process.versions.node.split('.')[0]) >= OLDEST_MAJOR) {
  holdLifeline()
  keepCompiledCode()
  const main = entry()
  if (existsSync(main)) await import(pathToFileURL(main).href)
  else fail('wxgate is not built: run "npm run build" first.')
} else {
  const node = process.env[LIFELINE] === undefined ? findNode() : undefined
  if (node === undefined) {
    fail(`wxgate needs Node ${OLDEST_MAJOR} or newer and this is ${process.version}: install Node 26 (LTS).`)
  } else {
    runWith(node)
  }
}

function entry() {
  const source = join(root, 'src', 'main.ts')
  // Node does not strip types inside node_modules, and a package holds the compiled files only.
  if (existsSync(source) && !root.split(sep).includes('node_modules')) return source
  return join(root, 'dist', 'main.js')
}

/** Halves the time of every start but the first. Beside the packages, where only those may write who could change the
 *  code itself: a folder that everybody can write to would let them run theirs. Where it cannot be written, nothing
 *  is kept. */
function keepCompiledCode() {
  const packages = join(root, 'node_modules')
  if (!existsSync(packages)) return
  nodeModule.enableCompileCache(join(packages, '.cache', 'wxgate'))
  // It is written at the end otherwise, and a server may never come to a regular one.
  setTimeout(() => nodeModule.flushCompileCache(), 2000).unref()
}

/** The Node that npm installed with us: linked in a .bin folder above, or in its package for this platform. */
function findNode() {
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  for (let folder = root; ; folder = dirname(folder)) {
    const linked = join(folder, 'node_modules', '.bin', file)
    if (existsSync(linked)) return linked
    if (folder === dirname(folder)) break
  }
  const platform = `${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  for (const name of [`node-${platform}`, `node-bin-${platform}`]) {
    try {
      const packaged = join(
        dirname(nodeModule.createRequire(import.meta.url).resolve(`${name}/package.json`)),
        'bin',
        file
      )
      if (existsSync(packaged)) return packaged
    } catch {
      // Not installed: optional packages may be left out.
    }
  }
  return undefined
}

/** Stays as a stand-in for the real process: same streams, same signals, same exit status. */
function runWith(node) {
  // A group of its own: Ctrl-C and `timeout` signal a whole group, and a second signal would cut the drain short.
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

/** The other end of the pipe closes only when the stand-in was killed outright: then so are we. */
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
