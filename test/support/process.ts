/** `wxgate` as a separate process, ended with the test. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Teardown } from './listen.ts'
import { PATIENCE } from './until.ts'

/** The sources, started by Node itself, without bin/wxgate.js. */
const SOURCES = new URL('../../src/main.ts', import.meta.url).pathname
/** The bundle of them that `npm test` builds, as in the package: a start takes half the time. A
 *  test file that runs alone starts the sources. */
export const MAIN = process.env.WXGATE_TEST_PROGRAM ?? SOURCES

export interface TestProcess {
  readonly child: ChildProcess
  /** Everything printed so far, both streams. */
  readonly output: () => string
  /** Resolves with the exit status, or the signal's name. */
  readonly exited: Promise<number | string>
}

/** For a child process that is started as in production: without tap, whose coverage slows a start
 *  down by a third, and with the compiled files of the other tests. */
export const PLAIN_ENV: Readonly<NodeJS.ProcessEnv> = {
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  NODE_COMPILE_CACHE: resolve(process.env.NODE_COMPILE_CACHE ?? '.cache/tests')
}

/** @param stdout A file descriptor or socket for its standard output, which is not in `output`
 *  then.
 *  @param files Limit of its open files.
 *  @param program Of another build. */
export function startProcess(
  t: Teardown,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  stdout: 'pipe' | number | Socket = 'pipe',
  files?: number,
  program = MAIN
): TestProcess {
  const own = [process.execPath, program, ...args]
  const [file = '', ...rest] = files === undefined ? own : ['bash', '-c', `ulimit -n ${files}; exec "$0" "$@"`, ...own]
  const child = spawn(file, rest, {
    env: { ...PLAIN_ENV, ...env },
    stdio: ['pipe', stdout, 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      output += text
    })
  }
  const exited = new Promise<number | string>((resolve) => {
    child.on('exit', (status, signal) => resolve(status ?? signal ?? -1))
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await exited
  })
  return { child, output: () => output, exited }
}

/** Ids of the processes that a process has started and that still run. */
export function childrenOf(parent: number | undefined): number[] {
  // A bare Debian has no pgrep, and macOS no /proc.
  if (process.platform !== 'linux')
    return execFileSync('pgrep', ['-P', String(parent)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number)
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return all.map(Number).filter((id) => statOf(id)?.parent === parent)
}

/** False for a process that has ended, also when its new parent has not asked for its status, as in
 *  a container. */
export function isRunning(id: number): boolean {
  if (process.platform === 'linux') return (statOf(id)?.state ?? 'Z') !== 'Z'
  try {
    return process.kill(id, 0)
  } catch {
    return false
  }
}

/** Null without such a process. */
function statOf(id: number): { state: string; parent: number } | null {
  try {
    // Number, name in brackets, state, parent. The name may hold spaces and brackets.
    const [, state = '', parent] = /.*\) (\S) (\d+)/s.exec(readFileSync(`/proc/${id}/stat`, 'latin1')) ?? []
    return { state, parent: Number(parent) }
  } catch {
    return null
  }
}

/** A folder that is removed with the test, holding the configuration. */
export function writeConfig(t: Teardown, config: unknown): { folder: string; file: string } {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'gateway.yaml')
  writeFileSync(file, JSON.stringify(config))
  return { folder, file }
}

/** Below the ports of outgoing connections, so that only other tests can take one meanwhile. */
const FIRST_PORT = 10_000
/** The port 10,000 higher is free too: a Redis Cluster uses it. */
const PORTS = 10_000
let nextPort = (process.pid * 61) % PORTS

/** A port that was free a moment ago, returned once per process. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + (nextPort++ % PORTS)
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
    })
    if (isFree) return port
  }
}

/** Requests until the answer has the status (0: no answer), at most for `PATIENCE`
 *  milliseconds. @returns The last status. */
export async function untilStatus(url: string, status: number): Promise<number> {
  const deadline = performance.now() + PATIENCE
  for (;;) {
    const last = await statusOf(url)
    if (last === status || performance.now() > deadline) return last
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** 0 without an answer. */
export function statusOf(url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  return fetch(url, { headers }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.status
    },
    () => 0
  )
}
