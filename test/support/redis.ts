/** A real redis-server for a test: on a free port of 127.0.0.1, in its own folder, removed with
 *  the test. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './process.ts'
import { until } from './until.ts'

export interface RedisServer {
  readonly port: number
  /** Without credentials. */
  readonly url: string
  readonly folder: string
  /** SIGSTOP and SIGCONT. */
  pause(): void
  resume(): void
  /** SIGKILL. Resolves when the process is gone. */
  kill(): Promise<void>
  /** The same port and the same folder. Resolves when it answers (also "still loading" or "who
   *  are you"). */
  start(...moreArgs: string[]): Promise<void>
  /** SIGKILL, and the folder is removed. */
  remove(): Promise<void>
}

/** Null, with a comment, without redis-server on this machine; in CI that is a failure. */
export async function startRedis(t: Test, ...args: string[]): Promise<RedisServer | null> {
  if (!hasRedis(t)) return null
  const server = await launchRedis(...args)
  t.teardown(() => server.remove())
  return server
}

/** Asked once: a process costs as much as many tests. */
let isInstalled: boolean | undefined

export function hasRedis(t: Test): boolean {
  isInstalled ??= !spawnSync('redis-server', ['--version']).error
  if (isInstalled) return true
  if (process.env.CI) t.fail('redis-server is not installed')
  else t.comment('NOT TESTED: redis-server is not installed')
  return false
}

/** A Sentinel that watches one master under the name `wx`, and decides alone. */
export async function startSentinel(t: Test, master: RedisServer): Promise<RedisServer> {
  const server = await launch((port, folder) => {
    const file = join(folder, 'sentinel.conf')
    const lines = [
      `port ${port}`,
      `dir ${folder}`,
      'bind 127.0.0.1',
      `sentinel monitor wx 127.0.0.1 ${master.port} 1`,
      'sentinel down-after-milliseconds wx 400',
      'sentinel failover-timeout wx 3000'
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    return [file, '--sentinel']
  })
  t.teardown(() => server.remove())
  return server
}

/** For benchmarks and tests that manage the server themselves. Throws without redis-server. */
export function launchRedis(...args: string[]): Promise<RedisServer> {
  return launch((port, folder) => ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', folder, '--save', '', ...args])
}

async function launch(argsFor: (port: number, folder: string) => string[]): Promise<RedisServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-redis-'))
  let process: ChildProcess | undefined

  const server: RedisServer = {
    port,
    url: `redis://127.0.0.1:${port}`,
    folder,
    pause: () => process?.kill('SIGSTOP'),
    resume: () => process?.kill('SIGCONT'),
    async kill() {
      const dying = process
      if (!dying || dying.exitCode !== null || dying.signalCode !== null) return
      const gone = new Promise((resolve) => dying.once('exit', resolve))
      dying.kill('SIGKILL')
      await gone
    },
    async start(...moreArgs) {
      const started = spawn('redis-server', [...argsFor(port, folder), ...moreArgs], {
        stdio: ['ignore', 'pipe', 'ignore']
      })
      process = started
      let output = ''
      started.stdout.on('data', (chunk) => {
        output = (output + chunk).slice(-2_000)
      })
      let error: Error | undefined
      started.once('error', (cause) => {
        error = cause
      })
      await until(() => {
        if (error) throw error
        if (started.exitCode !== null) throw new Error(`redis-server ended: ${output}`)
        return answers(port)
      })
    },
    async remove() {
      await server.kill()
      rmSync(folder, { recursive: true, force: true })
    }
  }
  await server.start()
  return server
}

/** Sends one command inline, without any client of the gateway; the answer is raw RESP. */
export function askRedis(port: number, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`))
    let answer = ''
    socket.on('data', (chunk) => {
      answer += chunk
      const bulk = /^\$(\d+)\r\n/.exec(answer)
      if (bulk ? answer.length >= bulk[0].length + Number(bulk[1]) + 2 : answer.endsWith('\r\n')) socket.end()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

function answers(port: number): Promise<boolean> {
  return askRedis(port, 'PING').then(
    (answer) => answer !== '',
    () => false
  )
}
