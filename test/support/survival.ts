/** Kills a real gateway process at random moments while users log in, refresh and log out, and
 *  checks afterwards that everything answered still holds. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/clock.ts'
import { createSandbox } from '../../src/sandbox/server.ts'
import { APPID, defaultConfig } from './gateway.ts'
import { freePort, MAIN, PLAIN_ENV } from './process.ts'
import type { RedisServer } from './redis.ts'
import { until } from './until.ts'

const WORKERS = 8

export interface SurvivalOptions {
  readonly kills: number
  /** The Redis to use, and whether it is also killed, in every other round. Null: a separate
   *  SQLite file. */
  readonly redis: { readonly server: RedisServer; readonly isKilled: boolean } | null
  /** Milliseconds after which no further kill is begun. */
  readonly limit?: number
}

export interface SurvivalReport {
  readonly kills: number
  /** Answered calls, checked again after the kill. */
  readonly logins: number
  readonly refreshes: number
  readonly logouts: number
  /** Descriptions of those that did not hold. */
  readonly lost: readonly string[]
  /** Requests that the kill left without an answer. */
  readonly unanswered: number
}

/** The client's knowledge of one session after the last answer. */
interface Known {
  readonly name: string
  refreshToken: string
  hasEnded: boolean
  wasRefreshed: boolean
  /** Sent without an answer: the refresh or logout may or may not have happened. */
  isUnsure: boolean
}

export async function surviveKills({ kills, redis, limit = 600_000 }: SurvivalOptions): Promise<SurvivalReport> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-kill-'))
  const sandbox = createSandbox({ clock: systemClock })
  const report = { kills: 0, logins: 0, refreshes: 0, logouts: 0, lost: [] as string[], unanswered: 0 }
  let child: ChildProcess | undefined
  let names = 0
  try {
    const { url: apiBase } = await sandbox.listen(0, '127.0.0.1')
    const [port, servicePort] = [await freePort(), await freePort()]
    const base = defaultConfig('http://127.0.0.1:9')
    const config = {
      ...base,
      server: { ...(base.server as object), port, loginLimit: { max: 1_000_000, window: '1m', by: 'ip' } },
      service: { ...(base.service as object), port: servicePort },
      wechat: { apiBase },
      store: redis ? redis.server.url : 'sqlite:./kill.db',
      logging: { level: 'silent', access: false, format: 'json' }
    }
    const file = join(folder, 'gateway.yaml')
    writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
    const edge = `http://127.0.0.1:${port}`
    const ended = performance.now() + limit
    child = await startGateway(file, edge)

    while (report.kills < kills && performance.now() < ended) {
      const known: Known[] = []
      const stop = new AbortController()
      const people = Array.from({ length: WORKERS }, () => actAsPeople(edge, () => names++, known, stop.signal, report))
      // Enough for an answered call of each kind.
      await until(() => known.length >= 3 * WORKERS)
      await delay(Math.random() * 200)
      const isRedisHit = redis?.isKilled === true && report.kills % 2 === 1
      const gone = isRedisHit ? redis.server.kill() : exitOf(child)
      if (!isRedisHit) child.kill('SIGKILL')
      await gone
      stop.abort()
      report.kills++
      await Promise.all(people)
      if (isRedisHit) {
        await redis.server.start()
        await untilReady(edge, child)
      } else child = await startGateway(file, edge)
      await lookAgain(edge, known, report)
    }
    return report
  } finally {
    child?.kill('SIGKILL')
    await sandbox.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function exitOf(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve) => child.once('exit', resolve))
}

async function startGateway(file: string, edge: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, 'run', '-c', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: PLAIN_ENV
  })
  let output = ''
  child.stderr?.on('data', (chunk) => {
    output = (output + chunk).slice(-2_000)
  })
  await untilReady(edge, child, () => output)
  return child
}

async function untilReady(edge: string, child: ChildProcess, output = () => ''): Promise<void> {
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`the gateway ended: ${output()}`)
    const response = await fetch(`${edge}/readyz`).catch(() => null)
    await response?.arrayBuffer().catch(() => null)
    return response?.status === 200
  })
}

interface Reply {
  readonly status: number
  readonly body: { access_token?: string; refresh_token?: string; code?: string }
}

/** Null when the connection broke before the complete answer. */
async function ask(edge: string, path: string, body: object, token?: string): Promise<Reply | null> {
  try {
    const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
    const response = await fetch(edge + path, { method: 'POST', headers, body: JSON.stringify(body) })
    const text = await response.text()
    return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Reply['body']) }
  } catch {
    return null
  }
}

type Counts = { unanswered: number }

/** Of five sessions two are refreshed, and one is ended. */
async function actAsPeople(edge: string, nextIndex: () => number, known: Known[], signal: AbortSignal, counts: Counts) {
  while (!signal.aborted) {
    const index = nextIndex()
    const name = `k${index}`
    const login = await ask(edge, '/auth/login', { code: `sandbox-${name}-x`, appid: APPID })
    if (login === null) counts.unanswered++
    if (login?.status !== 200 || !login.body.refresh_token) continue
    const session: Known = {
      name,
      refreshToken: login.body.refresh_token,
      hasEnded: false,
      wasRefreshed: false,
      isUnsure: false
    }
    known.push(session)
    if (index % 5 < 2) await refreshOnce(edge, session, counts)
    else if (index % 5 === 2) {
      const logout = await ask(edge, '/auth/logout', {}, login.body.access_token)
      if (logout === null) counts.unanswered++
      session.hasEnded = logout?.status === 204
      session.isUnsure = logout?.status !== 204
    }
  }
}

async function refreshOnce(edge: string, session: Known, counts: Counts): Promise<void> {
  const reply = await ask(edge, '/auth/refresh', { refresh_token: session.refreshToken })
  if (reply === null) counts.unanswered++
  if (reply?.status === 200 && reply.body.refresh_token) {
    session.refreshToken = reply.body.refresh_token
    session.wasRefreshed = true
  }
  // In either case: within ten seconds the same token gets the same answer.
}

/** A store that has just started may miss the deadline of a call. */
async function askAgain(edge: string, refreshToken: string): Promise<Reply | null> {
  let reply: Reply | null = null
  await until(async () => {
    reply = await ask(edge, '/auth/refresh', { refresh_token: refreshToken })
    return reply?.status !== 503
  })
  return reply
}

async function lookAgain(
  edge: string,
  known: readonly Known[],
  report: { logins: number; refreshes: number; logouts: number; lost: string[] }
): Promise<void> {
  const left = [...known]
  const one = async () => {
    for (let session = left.pop(); session; session = left.pop()) {
      if (session.isUnsure) continue
      const reply = await askAgain(edge, session.refreshToken)
      report.logins++
      if (session.wasRefreshed) report.refreshes++
      if (session.hasEnded) report.logouts++
      const found = reply?.status === 200 ? 'alive' : (reply?.body.code ?? 'no answer')
      const expected = session.hasEnded ? 'refresh_invalid' : 'alive'
      if (found !== expected) {
        const history = session.hasEnded ? 'logged out' : session.wasRefreshed ? 'refreshed' : 'logged in'
        report.lost.push(`${session.name} had ${history} and is now: ${found}`)
      }
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, one))
}
