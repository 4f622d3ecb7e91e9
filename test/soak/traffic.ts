/** Mixed traffic through a gateway whose second target comes and goes. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { APPID } from '../support/gateway.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import type { Teardown } from '../support/listen.ts'
import { patternHash } from '../support/pattern.ts'
import { freePort } from '../support/process.ts'
import { get, openClient } from '../support/raw-client.ts'
import { type SteadyLoad, startLoad } from '../support/steady-load.ts'
import { until } from '../support/until.ts'
import { hashOf, openDownload } from '../support/volume.ts'
import { handshake } from '../support/websocket.ts'
import type { Figure } from './figure.ts'

const PAUSE_MS = 5
const FLAP_MS = 5_000
const SAMPLE_MS = 500
const DOWNLOAD = 1_000_000
const UPLOAD = Buffer.alloc(20_000, 'x')
/** Clients of the soak end by themselves. */
const NO_TEARDOWN: Teardown = { teardown() {} }

/** One request of each kind. Each outcome that is expected while a target comes and goes is `ok` or
 *  `cut`. */
async function createKinds({ url, port }: GatewayProcess): Promise<Record<string, (n: number) => Promise<string>>> {
  const body = JSON.stringify({ code: 'sandbox-alice-soak', appid: APPID })
  const headers = { 'content-type': 'application/json' }
  const login = await fetch(`${url}/auth/login`, { method: 'POST', headers, body })
  const { access_token: token } = (await login.json()) as { access_token: string }
  const hash = patternHash(DOWNLOAD)
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(url + path, init)
    const text = await response.text()
    return response.ok ? 'ok' : `${response.status} ${(JSON.parse(text) as { code: string }).code}`
  }
  return {
    GET: () => ask('/public/hello'),
    'GET with a token': () => ask('/api/hello', { headers: { authorization: `Bearer ${token}` } }),
    POST: () => ask('/public/x', { method: 'POST', body: UPLOAD }),
    async download() {
      const res = await openDownload(`${url}/public/large?bytes=${DOWNLOAD}`)
      return (await hashOf(res).catch(() => 'cut')) === hash ? 'ok' : 'cut'
    },
    async 'event stream'() {
      const client = await openClient(NO_TEARDOWN, port)
      client.send(get('/public/events'))
      await until(() => client.isClosed || client.pending.split('tick').length > 5)
      client.close()
      return client.isClosed ? 'cut' : 'ok'
    },
    async WebSocket() {
      const client = await openClient(NO_TEARDOWN, port)
      client.send(handshake('/public/socket'))
      const { status } = await client.response()
      client.send('bytes of a frame')
      await until(() => client.isClosed || client.pending === 'bytes of a frame')
      const outcome = client.isClosed ? 'cut' : 'ok'
      client.close()
      return status === 101 ? outcome : String(status)
    },
    async 'client that leaves'(n) {
      const client = await openClient(NO_TEARDOWN, port)
      const head = 'POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n'
      client.send(n % 2 === 0 ? get('/public/slow?ms=60000') : `${head}${'x'.repeat(1_000)}`)
      await delay(n % 50)
      client.close()
      return 'ok'
    }
  }
}

const LOST: Readonly<Record<string, number | null>> = { GET: 0, 'GET with a token': 0 }

export async function soakTraffic(t: Teardown, durationMs: number): Promise<Figure[]> {
  const ports = [await freePort(), await freePort()]
  const targets = ports.map((port) => ({ url: `http://127.0.0.1:${port}` }))
  const program = join(import.meta.dirname, '../support/field-backend.ts')
  const startTarget = (port: number): ChildProcess => {
    const child = spawn(process.execPath, [program, String(port)], { stdio: 'ignore' })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  const [, second] = ports.map(startTarget)
  const upstreams = { app: { targets, connections: { idle: '1s' } } }
  const gateway = await startGatewayProcess(t, '', { config: { upstreams, logging: { access: false } } })
  const kinds = await createKinds(gateway)
  await until(async () => (await kinds.GET?.(0)) === 'ok')
  const before = gateway.descriptors()
  const loads: [string, SteadyLoad][] = Object.entries(kinds).map(([name, ask]) => [name, startLoad(2, PAUSE_MS, ask)])
  const flapping = startFlapping(second, () => startTarget(ports[1] ?? 0))
  const samples: number[] = []
  for (const end = performance.now() + durationMs; performance.now() < end; await delay(SAMPLE_MS))
    samples.push(gateway.memory())
  clearInterval(flapping)
  const figures: Figure[] = []
  for (const [name, load] of loads) {
    const { ok = 0, ...others } = await load.stop()
    const failed = Object.values(others).reduce((sum, count) => sum + count, 0)
    const detail = failed === 0 ? '' : `: ${JSON.stringify(others)}`
    figures.push({ what: `${name}: good`, value: ok, unit: '', limit: null })
    figures.push({ what: `${name}: others${detail}`, value: failed, unit: '', limit: LOST[name] ?? null })
  }
  // The pool closes its idle connections, and the clients of fetch theirs.
  await delay(8_000)
  const after = gateway.descriptors()
  const third = Math.floor(samples.length / 3)
  const growth = medianOf(samples.slice(-third)) - medianOf(samples.slice(third, 2 * third))
  return [
    ...figures,
    { what: 'memory of the last third above that of the second', value: growth, unit: 'MiB', limit: 16 },
    { what: 'memory, median of the last third', value: medianOf(samples.slice(-third)), unit: 'MiB', limit: null },
    { what: 'descriptors above those of the start', value: after.all - before.all, unit: '', limit: 5 },
    { what: 'sockets above those of the start', value: after.sockets - before.sockets, unit: '', limit: 5 }
  ]
}

/** Kills the target and starts it again, in turns. */
function startFlapping(first: ChildProcess | undefined, start: () => ChildProcess): NodeJS.Timeout {
  let current = first
  return setInterval(() => {
    if (current) current.kill('SIGKILL')
    current = current ? undefined : start()
  }, FLAP_MS)
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}
