/** Measures the JavaScript of a proxied request on the fast lane: recogniser to log line, with
 *  sockets that only count. `node bench/request-path.ts [ROUNDS]`; add --cpu-prof for a profile. */
import { EventEmitter } from 'node:events'
import type { OnReadOpts, Socket } from 'node:net'
import { systemClock } from '../src/clock.ts'
import { createFastLane } from '../src/fast-lane/fast-lane.ts'
import { createGeneration } from '../src/gateway/generation.ts'
import { createShared } from '../src/gateway/shared.ts'
import { ClientConnection } from '../src/http/connections.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { createAccessLog } from '../src/telemetry/access-log.ts'
import { createLog } from '../src/telemetry/log.ts'
import type { Dialer } from '../src/upstream/connection/dial.ts'
import { APPID, defaultConfig, readTestConfig } from '../test/support/gateway.ts'

const rounds = Number(process.argv[2] ?? 12)
const CONNECTIONS = 64
const REQUESTS_OF_A_ROUND = 40_000
const BODY = '{"orders":[{"id":4711,"total":1990,"state":"paid"}],"next":null}'
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\nDate: Mon, 30 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\n\r\n${BODY}`
)

/** Takes every write as the kernel does with room in its buffer. */
class CountingSocket extends EventEmitter {
  writable = true
  destroyed = false
  writableLength = 0
  writableNeedDrain = false
  writableHighWaterMark = 65_536
  readableEnded = false
  bytes = 0
  onread: OnReadOpts | null = null
  write(data: string | Buffer): boolean {
    // Flattens the text, as a write does.
    this.bytes += typeof data === 'string' ? Buffer.byteLength(data, 'latin1') + data.charCodeAt(data.length - 1) : 0
    return true
  }
  isPaused = () => false
  pause() {}
  resume() {}
  setTimeout() {}
  destroy() {}
  /** Hands over bytes as a read does. */
  read(bytes: Buffer): void {
    const { onread } = this
    if (onread === null) {
      this.emit('data', bytes)
      return
    }
    const buffer = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer
    bytes.copy(buffer as Buffer)
    onread.callback(bytes.length, buffer)
  }
}

const dialled: CountingSocket[] = []
const dialer: Dialer = {
  readyEvent: 'connect',
  dial(onread) {
    const socket = new CountingSocket()
    socket.onread = onread
    dialled.push(socket)
    queueMicrotask(() => socket.emit('connect'))
    return socket as unknown as Socket
  }
}

const config = readTestConfig(defaultConfig('http://127.0.0.1:9'))
let logged = 0
const output = {
  write(line: string) {
    logged += line.length
  },
  async flush() {}
}
const log = createLog({ level: 'silent' }, output)
const accessLog = createAccessLog(config.logging, output, false)
const clock = systemClock
const shared = createShared(config, {
  store: createMemoryStore({ clock, log }),
  clock,
  log,
  accessLog,
  version: '0',
  wechatUrl: 'http://127.0.0.1:9'
})
const generation = await createGeneration(config, shared)
await shared.revocations.start()
for (const { pool } of generation.parts.upstreams.get('app').targets) Object.assign(pool, { dialer })
const now = Date.now()
const token = generation.parts.accessTokens.sign(
  {
    appId: APPID,
    openId: 'oBench-000000000000000000001',
    unionId: null,
    userId: 'u_bench000001',
    sessionId: 's_bench000001',
    epoch: 0,
    status: 'bound',
    claims: {}
  },
  now,
  now + 3_600_000
)
const REQUEST = Buffer.from(
  `GET /api/orders?page=2 HTTP/1.1\r\nHost: api.shop.example\r\nAuthorization: Bearer ${token}\r\nUser-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) MicroMessenger/8.0.53\r\nAccept: */*\r\nAccept-Encoding: gzip,compress,br,deflate\r\nReferer: https://servicewechat.com/wx1234567890abcdef/12/page-frame.html\r\nConnection: keep-alive\r\n\r\n`
)
const lane = createFastLane({ clock, onRequest: shared.metrics.fastRequest })({
  limits: config.server.limits,
  guard: shared.guard,
  handler: () => generation.edge,
  handOver: (_socket, _client, _bytes, reason) => {
    throw new Error(`handed over: ${reason}`)
  },
  open() {},
  refuse() {},
  errorOf: (code) => {
    throw new Error(code)
  }
})
const clients = Array.from({ length: CONNECTIONS }, () => {
  const socket = new CountingSocket()
  lane.accept(socket as unknown as Socket, new ClientConnection('127.0.0.1', false))
  return socket
})

async function serve(requests: number): Promise<void> {
  for (let done = 0; done < requests; done += CONNECTIONS) {
    // A read gives the socket a buffer of its own.
    for (const client of clients) client.read(Buffer.from(REQUEST))
    // New connections open in the next turn.
    if (done === 0) await new Promise((resolve) => setImmediate(resolve))
    for (const upstream of dialled) upstream.read(ANSWER)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

await serve(REQUESTS_OF_A_ROUND)
const figures: number[] = []
for (let round = 0; round < rounds; round++) {
  const before = process.cpuUsage()
  await serve(REQUESTS_OF_A_ROUND)
  const { user, system } = process.cpuUsage(before)
  figures.push((user + system) / REQUESTS_OF_A_ROUND)
}
figures.sort((a, b) => a - b)
const written = clients.reduce((sum, { bytes }) => sum + bytes, 0)
process.stdout.write(
  `${figures[0]?.toFixed(2)} µs at least, ${figures[rounds >> 1]?.toFixed(2)} in the middle; ${lane.active} under way, ${written} and ${logged} bytes written\n`
)
process.exit(0)
