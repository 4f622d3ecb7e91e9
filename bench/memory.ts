/** Measures the memory of one instance of the package, with the flags of the image: `node
 *  bench/memory.ts [users]` prints a Markdown table. Two to three minutes for the default of
 *  100,000 users. Linux, two cores. */
import { rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Pool } from 'undici'
import { createTokenMaker, type GatewayProcess, startGateway, tokenOf } from './gateway-process.ts'
import { getRequest, runLoad } from './load.ts'
import { buildPackage } from './package-build.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { startUpstream, UPSTREAM_BODY } from './upstream.ts'

const USERS = Number(process.argv[2] ?? 100_000)
const PATH = '/api/orders'
const CONNECTIONS = 64
/** The size of the cache of verified tokens. */
const CACHED = 30_000
const ROUNDS = 5
const ROUND_MS = 3_000
/** A gateway with 20,000 descriptors keeps so many. */
const IDLE_CONNECTIONS = 9_000
const IDLE_LIMIT_MIB = 150
/** V8 collects what opening the connections left behind within this time. */
const IDLE_MS = 30_000

const print = (line: string) => process.stdout.write(`${line}\n`)
const row = (what: string, figure: string) => print(`| ${what} | ${figure} |`)
const kibibytes = (mebibytes: number) => (mebibytes * 1024).toFixed(1)
const whole = (figure: number) => Math.round(figure).toLocaleString('en')

/** One request for each of `count` tokens. */
async function request(port: number, count: number, token: (index: number) => string): Promise<void> {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: CONNECTIONS })
  let next = 0
  const lane = async () => {
    while (next < count) {
      const headers = { authorization: `Bearer ${token(next++)}` }
      const { statusCode, body } = await pool.request({ method: 'GET', path: PATH, headers })
      await body.dump()
      if (statusCode !== 200) throw new Error(`the gateway answered ${statusCode}`)
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, lane))
  await pool.close()
}

const shown = (gateway: GatewayProcess) => gateway.memory().map(whole).join(' + ')

async function measureProcess(workers: number, folder: string, upstreamPort: number): Promise<void> {
  const gateway = await startGateway(folder, { build, workers, core: '0,1', upstreamPort })
  const name = workers === 1 ? 'one process' : `${workers} workers, primary first`
  const tokens = await createTokenMaker()
  row(`${name}: MiB resident when ready`, shown(gateway))
  const only = tokenOf(tokens, 0)
  await request(gateway.port, USERS, () => only)
  row(`${name}: after ${whole(USERS)} requests of one user`, shown(gateway))
  await request(gateway.port, USERS, (index) => tokenOf(tokens, index))
  row(`${name}: after ${whole(USERS)} users made a request each`, shown(gateway))
  await request(gateway.port, USERS, (index) => tokenOf(tokens, USERS + index))
  row(`${name}: after ${whole(USERS)} other users did as well`, shown(gateway))
  await gateway.process.stop()
}

/** Resident memory with idle connections of clients, each of which has made one request. */
async function measureIdleConnections(folder: string, upstreamPort: number): Promise<void> {
  const gateway = await startGateway(folder, { build, workers: 1, core: '0,1', upstreamPort })
  const token = tokenOf(await createTokenMaker(), 0)
  const sockets: Socket[] = []
  const open = () =>
    new Promise<void>((resolve, reject) => {
      const socket = connect({ port: gateway.port, host: '127.0.0.1' })
      sockets.push(socket)
      socket.once('data', () => resolve())
      socket.on('error', reject)
      socket.write(getRequest(PATH, token))
    })
  const before = gateway.memory()[0] ?? Number.NaN
  while (sockets.length < IDLE_CONNECTIONS) await Promise.all(Array.from({ length: 100 }, open))
  const since = (): number => ((gateway.memory()[0] ?? Number.NaN) - before) / IDLE_CONNECTIONS
  const atOnce = since()
  await delay(IDLE_MS)
  const each = since()
  // At most half of the gateway's descriptors are for clients.
  if (sockets.some((socket) => socket.closed)) throw new Error('idle connections were closed: ulimit -n is too low')
  row('KiB resident for an idle connection, at once and after 30 s', [atOnce, each].map(kibibytes).join(', '))
  const all = [atOnce, each].map((one) => whole(before + 10_000 * one)).join(', ')
  row(`one process: MiB with 10,000 idle connections, at once and after 30 s; at most ${IDLE_LIMIT_MIB}`, all)
  for (const socket of sockets) socket.destroy()
  await gateway.process.stop()
}

/** Bytes of heap that `fill` leaves in use. */
async function heapOf(fill: () => unknown): Promise<number> {
  collect()
  const before = process.memoryUsage().heapUsed
  const kept = await fill()
  collect()
  const used = process.memoryUsage().heapUsed - before
  return kept === undefined ? Number.NaN : used
}

function collect(): void {
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  gc()
  gc()
}

async function measureHeap(): Promise<void> {
  const maker = await createTokenMaker()
  const cached = await heapOf(async () => {
    const tokens = await createTokenMaker()
    for (let user = 0; user < CACHED; user++) {
      // One flat string, as read from the wire.
      tokens.verify(Buffer.from(`Bearer ${tokenOf(maker, user)}`).toString('latin1'))
    }
    return tokens
  })
  row(`heap: one verified token, of ${whole(CACHED)}`, `${whole(cached / CACHED)} bytes`)
}

/** CPU per request of one and of two workers, in turns. The load shares a core with the second
 *  worker. */
async function measureWorkers(folder: string, upstreamPort: number): Promise<void> {
  const maker = await createTokenMaker()
  const requests = Array.from({ length: 1_000 }, (_, user) => getRequest(PATH, tokenOf(maker, user)))
  const gateways = [
    {
      workers: 1,
      gateway: await startGateway(folder, { build, workers: 1, core: '0,1', upstreamPort }),
      figures: [] as number[]
    },
    {
      workers: 2,
      gateway: await startGateway(folder, { build, workers: 2, core: '0,1', upstreamPort }),
      figures: [] as number[]
    }
  ]
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { gateway, figures } of gateways) {
      const before = gateway.process.cpuMicros()
      const load = { port: gateway.port, requests, connections: CONNECTIONS, durationMs: ROUND_MS }
      const { requests: done, errors } = await runLoad({ ...load, expectedBody: UPSTREAM_BODY })
      if (errors > 0) throw new Error(`${errors} wrong answers`)
      // The first round only warms up.
      if (round > 0) figures.push((gateway.process.cpuMicros() - before) / done)
    }
  }
  const [one, two] = gateways.map(({ figures }) => median(figures))
  for (const { workers, figures } of gateways) {
    const range = `${Math.min(...figures).toFixed(1)}–${Math.max(...figures).toFixed(1)}`
    row(`CPU per request, ${workers} worker${workers === 1 ? '' : 's'}`, `${median(figures).toFixed(1)} µs (${range})`)
  }
  row('CPU per request, two workers to one', `${((two ?? 0) / (one ?? 1)).toFixed(2)} ×`)
  for (const { gateway } of gateways) await gateway.process.stop()
}

pinMyself(1)
const folder = temporaryFolder()
const build = await buildPackage(folder)
const upstream = await startUpstream()
try {
  print(`Node ${process.versions.node}, ${cpus().length} cores, ${cpus()[0]?.model.trim()}\n`)
  print('| what | figure |\n|---|---|')
  await measureHeap()
  await measureIdleConnections(folder, upstream.port)
  await measureProcess(1, folder, upstream.port)
  await measureProcess(2, folder, upstream.port)
  await measureWorkers(folder, upstream.port)
} finally {
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(0)
