/** Measures message push: `node bench/push.ts [EVENTS] [OUTAGE_SECONDS]`. First the CPU of the
 *  gateway per event (safe mode: verified, decrypted, stored, delivered), then an outage of the
 *  backend with `kill -9` of the gateway in its middle, on SQLite and on Redis: which events are
 *  lost, and which users get theirs in another order. Two to three minutes. */
import { createServer } from 'node:http'
import { Pool } from 'undici'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from '../test/support/push.ts'
import { surviveOutage } from '../test/support/push-outage.ts'
import { launchRedis } from '../test/support/redis.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { APP_ID, startWxgate } from './wxgate.ts'

const events = Number(process.argv[2] ?? 10_000)
const outageMs = Number(process.argv[3] ?? 60) * 1000
const GATEWAY_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64
const USERS = 500
const print = (line: string) => process.stdout.write(`${line}\n`)

async function startBackend() {
  const received = { count: 0 }
  const server = createServer((req, res) => {
    received.count += 1
    req.resume()
    res.writeHead(200, { 'content-length': 0 }).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { port, received, close: () => server.close() }
}

function message(index: number): Readonly<Record<string, unknown>> {
  return {
    ToUserName: 'gh_bench',
    FromUserName: `openid-of-a-user-${index % USERS}`,
    CreateTime: Math.floor(Date.now() / 1000),
    MsgType: 'text',
    Content: 'a message of usual length, as a person writes it',
    MsgId: 1_000_000 + index
  }
}

/** Sends all requests and returns the milliseconds it took. */
async function sendAll(port: number, requests: readonly ReturnType<typeof pushRequest>[]): Promise<number> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS })
  const before = performance.now()
  let next = 0
  const sender = async () => {
    for (let request = requests[next++]; request !== undefined; request = requests[next++]) {
      const { statusCode, body } = await pool.request({ path: request.path, method: 'POST', body: request.body })
      const text = await body.text()
      if (statusCode !== 200 || text !== 'success') throw new Error(`the gateway answered ${statusCode}: ${text}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, sender))
  await pool.close()
  return performance.now() - before
}

async function measure(store: string, format: 'json' | 'xml'): Promise<void> {
  const backend = await startBackend()
  const gateway = await startWxgate({
    core: GATEWAY_CORE,
    folder: temporaryFolder(),
    name: `push-${format}`,
    upstreamPort: backend.port,
    accessLog: true,
    apiBase: 'sandbox',
    store,
    push: { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'orders', path: '/events' }
  })
  try {
    const warmUp = Math.min(2000, events)
    const requests = Array.from({ length: warmUp + events }, (_, index) =>
      pushRequest(APP_ID, message(index), { format })
    )
    await sendAll(gateway.port, requests.splice(0, warmUp))
    const received = backend.received.count
    const cpu = gateway.process.cpuMicros()
    const ms = await sendAll(gateway.port, requests)
    const micros = (gateway.process.cpuMicros() - cpu) / events
    const delivered = backend.received.count - received
    const rates = [micros.toFixed(0), (1e6 / micros).toFixed(0), ((events * 1000) / ms).toFixed(0), delivered]
    print(`| ${[store.split(':')[0], format, ...rates].join(' | ')} |`)
  } finally {
    await gateway.process.stop()
    backend.close()
  }
}

pinMyself(LOAD_CORE)
print('| store | format | CPU µs per event | events/s of one core | events/s reached | delivered |')
print('|---|---|---|---|---|---|')
for (const format of ['json', 'xml'] as const) {
  await measure('memory:', format)
  await measure(`sqlite:${temporaryFolder()}/push.db`, format)
}

print('\n| store | acknowledged | calls of the backend | lost | users out of order | delivered within |')
print('|---|---|---|---|---|---|')
const redis = await launchRedis('--appendonly', 'yes')
try {
  for (const store of ['sqlite:./push.db', redis.url]) {
    const report = await surviveOutage({ events, users: USERS, outageMs, store })
    const { acknowledged, delivered, lost, outOfOrder, drainedMs } = report
    const figures = [acknowledged, delivered, lost.length, outOfOrder.length, `${(drainedMs / 1000).toFixed(1)} s`]
    print(`| ${[store.split(':')[0], ...figures].join(' | ')} |`)
  }
} finally {
  await redis.remove()
}
