/** Sends events to a real gateway process while its backend is away, kills the process in the
 *  middle, and checks that every event arrives in the order of its user. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { APP_SECRET, APPID, defaultConfig } from './gateway.ts'
import { freePort, MAIN, PLAIN_ENV, untilStatus } from './process.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from './push.ts'
import { until } from './until.ts'

export interface OutageOptions {
  /** As in gateway.yaml; SQLite paths are relative to the folder of the file. */
  readonly store: string
  readonly events: number
  readonly users: number
  /** Starts a second gateway on the store, and resolves with the URL of its edge. The killed
   *  process stays away then. Without it the process is started again. */
  readonly startOther?: (backendUrl: string, push: object) => Promise<string>
  /** The backend comes back this long after the first event, and not before the kill. */
  readonly outageMs: number
}

export interface OutageReport {
  /** Events that WeChat got an answer to. */
  readonly acknowledged: number
  /** Calls of the backend. More than the events: a crash delivers again. */
  readonly delivered: number
  readonly lost: readonly string[]
  /** Users whose events came in another order. */
  readonly outOfOrder: readonly string[]
  /** Most calls at the same time for one user. */
  readonly atOnce: number
  /** Milliseconds from the return of the backend to the last event. */
  readonly drainedMs: number
}

export async function surviveOutage(options: OutageOptions): Promise<OutageReport> {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-outage-'))
  const backend = createBackend()
  let child: ChildProcess | undefined
  try {
    const backendUrl = `http://127.0.0.1:${await backend.listen()}`
    const { file, edge } = await writeGateway(folder, backendUrl, options)
    child = startGateway(file)
    const other = await options.startOther?.(backendUrl, pushOf(options))
    await untilStatus(`${edge}/readyz`, 200)
    const startedAt = performance.now()
    const counts = { sent: 0 }
    const sending = sendAll(other === undefined ? [edge] : [edge, other], options, counts)
    await until(() => counts.sent >= options.events / 2)
    await kill(child)
    if (other === undefined) {
      child = startGateway(file)
      await untilStatus(`${edge}/readyz`, 200)
    }
    await delay(Math.max(0, startedAt + options.outageMs - performance.now()))
    backend.isAway = false
    const backAt = performance.now()
    await sending
    const expected = eventsOf(options)
    await until(() => expected.every((id) => backend.seen.has(id)))
    const drainedMs = Math.round(performance.now() - backAt)
    return { ...backend.report(options), acknowledged: counts.sent, drainedMs }
  } finally {
    child?.kill('SIGKILL')
    backend.server.closeAllConnections()
    backend.server.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function pushOf({ events }: OutageOptions): object {
  const retry = { maxAge: '1h', backlog: events * 2 }
  return { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events', retry }
}

async function writeGateway(folder: string, backendUrl: string, options: OutageOptions) {
  const [port, servicePort] = [await freePort(), await freePort()]
  const base = defaultConfig(backendUrl)
  const config = {
    ...base,
    server: { ...Object(base.server), port },
    service: { ...Object(base.service), port: servicePort },
    wechat: { apiBase: 'http://127.0.0.1:9' },
    apps: [{ appid: APPID, secret: APP_SECRET, push: pushOf(options) }],
    store: options.store,
    logging: { level: 'silent', access: false, format: 'json' }
  }
  const file = join(folder, `gateway-${port}.yaml`)
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  return { file, edge: `http://127.0.0.1:${port}` }
}

function startGateway(file: string): ChildProcess {
  return spawn(process.execPath, [MAIN, 'run', '-c', file], { stdio: 'ignore', env: PLAIN_ENV })
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
}

const userOf = (index: number) => `oUSER${String(index).padStart(4, '0')}`
const countOf = ({ events, users }: OutageOptions) => Math.ceil(events / users)

function eventsOf(options: OutageOptions): string[] {
  const numbers = Array.from({ length: countOf(options) }, (_, number) => number)
  return Array.from({ length: options.users }, (_, user) => numbers.map((number) => `${userOf(user)} ${number}`)).flat()
}

/** Each user's events one after the other; one without an answer is sent again, as WeChat does. */
async function sendAll(edges: readonly string[], options: OutageOptions, counts: { sent: number }): Promise<void> {
  const sendUser = async (index: number) => {
    for (let number = 0; number < countOf(options); number++) {
      const message = { FromUserName: userOf(index), CreateTime: 1, MsgType: 'event', Event: 'x', Number: number }
      for (let attempt = 0; !(await send(edges[(index + number + attempt) % edges.length], message)); attempt++)
        await delay(50)
      counts.sent++
    }
  }
  await Promise.all(Array.from({ length: options.users }, (_, index) => sendUser(index)))
}

async function send(edge: string | undefined, message: Readonly<Record<string, unknown>>): Promise<boolean> {
  const { path, body } = pushRequest(APPID, message)
  const response = await fetch(`${edge}${path}`, { method: 'POST', body }).catch(() => null)
  const text = await response?.text().catch(() => null)
  return response?.status === 200 && text === 'success'
}

/** Answers 503 while it is away. */
function createBackend() {
  const received = new Map<string, number[]>()
  const inFlight = new Map<string, number>()
  const seen = new Set<string>()
  let delivered = 0
  let atOnce = 0
  const server: Server = createServer((request, response) => {
    const user = String(request.headers['x-openid'])
    inFlight.set(user, (inFlight.get(user) ?? 0) + 1)
    atOnce = Math.max(atOnce, inFlight.get(user) ?? 0)
    response.once('close', () => inFlight.set(user, (inFlight.get(user) ?? 0) - 1))
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (backend.isAway) {
        response.writeHead(503).end()
        return
      }
      const { Number: number } = JSON.parse(Buffer.concat(chunks).toString()) as { Number: number }
      delivered++
      seen.add(`${user} ${number}`)
      received.set(user, [...(received.get(user) ?? []), number])
      response.end()
    })
  })
  const backend = {
    server,
    seen,
    isAway: true,
    listen: () =>
      new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve(Object(server.address()).port))
      }),
    report(options: OutageOptions) {
      const inOrder = Array.from({ length: countOf(options) }, (_, number) => number).join()
      // A crash may deliver an event twice, one after the other.
      const outOfOrder = [...received].filter(
        ([, numbers]) => numbers.filter((number, index) => number !== numbers[index - 1]).join() !== inOrder
      )
      const lost = eventsOf(options).filter((id) => !seen.has(id))
      return { delivered, lost, outOfOrder: outOfOrder.map(([user, numbers]) => `${user}: ${numbers}`), atOnce }
    }
  }
  return backend
}
