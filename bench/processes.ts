/** Processes of a benchmark: each starts on its own core, is measured by the kernel's counters,
 *  and ends with the benchmark. Linux only: it reads /proc and uses taskset. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { get as getPlain } from 'node:http'
import { get as getByTls } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

/** Kernel ticks per second in /proc (USER_HZ); 100 on every Linux platform that Node supports. */
const TICKS_PER_SECOND = 100

export interface Process {
  readonly pid: number
  /** The last lines of its output, to explain a failed start. */
  output(): string
  /** CPU time in microseconds of the process and its children since their start. */
  cpuMicros(): number
  hasExited(): boolean
  /** Sends SIGTERM, and SIGKILL after 2 s. */
  stop(): Promise<void>
}

export interface StartOptions {
  /** One core, or a list in the form of taskset. */
  readonly core: number | string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** A file descriptor for its standard output; without it the output is kept for messages. */
  readonly stdout?: number
}

/** Debian installs some servers in sbin, which is not in every PATH. */
const PATH = [process.env.PATH ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter)

const running = new Set<ChildProcess>()
process.on('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    killAll()
    process.exit(1)
  })
}

function killAll(): void {
  for (const child of running) killGroup(child, 'SIGKILL')
  running.clear()
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // The process has ended already.
  }
}

export function startProcess(command: string, args: readonly string[], options: StartOptions): Process {
  const child = spawn('taskset', ['-c', String(options.core), command, ...args], {
    cwd: options.cwd,
    env: { ...process.env, PATH, ...options.env },
    stdio: ['ignore', options.stdout ?? 'pipe', 'pipe'],
    // A separate process group, so that its workers end with it.
    detached: true
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4000)
    })
  }
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += error.message
      resolve()
    })
    child.once('exit', () => resolve())
  }).then(() => running.delete(child))
  const pid = child.pid ?? -1
  return {
    pid,
    output: () => output.trim(),
    cpuMicros: () => cpuMicrosOf(pid),
    hasExited: () => !running.has(child),
    async stop() {
      killGroup(child, 'SIGTERM')
      const insist = setTimeout(() => killGroup(child, 'SIGKILL'), 2000)
      await exited
      clearTimeout(insist)
      killGroup(child, 'SIGKILL')
    }
  }
}

interface Stat {
  readonly parent: number
  readonly ticks: number
}

/** Fields 4, 14 to 17 of /proc/PID/stat (proc(5)). The name in field 2 may hold any characters,
 *  so count after its end. */
function readStat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const field = (number: number): number => Number(fields[number - 3])
    return { parent: field(4), ticks: field(14) + field(15) + field(16) + field(17) }
  } catch {
    return undefined
  }
}

function cpuMicrosOf(root: number): number {
  const stats = new Map<number, Stat>()
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readStat(Number(name)) : undefined
    if (stat !== undefined) stats.set(Number(name), stat)
  }
  const belongs = (pid: number): boolean => {
    const stat = stats.get(pid)
    return pid === root || (stat !== undefined && stat.parent > 1 && belongs(stat.parent))
  }
  let ticks = 0
  for (const [pid, stat] of stats) if (belongs(pid)) ticks += stat.ticks
  return (ticks * 1e6) / TICKS_PER_SECOND
}

/** CPU time in microseconds used by all processes together, and taken by a hypervisor (proc(5),
 *  the first line of /proc/stat: user, nice, system, and steal in column 8). */
export function machineCpuMicros(): number {
  const columns = (readFileSync('/proc/stat', 'latin1').split('\n', 1)[0] ?? '').trim().split(/\s+/).map(Number)
  const ticks = [1, 2, 3, 8].reduce((sum, column) => sum + (columns[column] ?? 0), 0)
  return (ticks * 1e6) / TICKS_PER_SECOND
}

/** Keeps this process (the load and the upstream) off the measured core. */
export function pinMyself(core: number): void {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(process.pid)], { stdio: 'ignore' })
}

/** A folder that is removed at the end of this process. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-bench-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/** The first line of a command's version text; undefined when it is not installed. */
export function versionOf(command: string, ...args: string[]): string | undefined {
  try {
    // nginx prints it to standard error.
    const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1', command, ...args], {
      encoding: 'utf8',
      env: { ...process.env, PATH }
    })
    return text.trim().split('\n')[0]
  } catch {
    return undefined
  }
}

/** Polls until an HTTP server answers with this status, or with any. */
export async function waitUntilUp(url: string, child: Process, timeoutMs: number, status?: number): Promise<void> {
  const end = performance.now() + timeoutMs
  while (performance.now() < end) {
    if (child.hasExited()) throw new Error(`it ended at once: ${child.output()}`)
    try {
      const answered = await statusOf(url)
      if (status === undefined || answered === status) return
    } catch {}
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`it did not answer within ${timeoutMs} ms: ${child.output()}`)
}

/** Accepts any certificate. */
function statusOf(url: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? getByTls : getPlain
    const request = get(url, { timeout: 1000, rejectUnauthorized: false }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode))
    })
    request.once('timeout', () => request.destroy(new Error('no answer')))
    request.once('error', reject)
  })
}
