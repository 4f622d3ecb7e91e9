/** Measures a backend's call to WeChat's API through the gateway, beside a proxied request of the
 *  stock composition: `node bench/egress.ts [ROUNDS]`. A minute. Every subject is pinned to core 0
 *  and idle except in its turn; the load, WeChat and the upstream are this process, pinned to
 *  core 1. */
import { getRequest, type LoadResult, runLoad } from './load.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { type Cell, cpuRatio, medianOf, type Sample } from './statistics.ts'
import { STOCK, subjects } from './subjects.ts'
import { startUpstream, UPSTREAM_BODY } from './upstream.ts'
import { APP_ID, SERVICE_TOKEN, startWxgate } from './wxgate.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64
const WARM_UP_MS = 3000
const LEAD_IN_MS = 200
const MEASURED_MS = 800
const SETTLE_MS = 50
/** CPU of one call as a share of the stock composition's proxied request. */
const TARGET = 0.6

interface Turn {
  readonly name: string
  readonly port: number
  readonly process: { cpuMicros(): number; stop(): Promise<void> }
  readonly request: Buffer
  readonly samples: Sample[]
}

async function load({ name, port, request }: Turn, durationMs: number): Promise<LoadResult> {
  const result = await runLoad({
    port,
    requests: [request],
    connections: CONNECTIONS,
    durationMs,
    expectedBody: UPSTREAM_BODY
  })
  if (result.errors > 0) throw new Error(`${name} gave ${result.errors} wrong answers: ${result.firstError}`)
  return result
}

async function measure(turn: Turn): Promise<Sample> {
  await load(turn, LEAD_IN_MS)
  const before = turn.process.cpuMicros()
  const { requests, seconds, p50, p99 } = await load(turn, MEASURED_MS)
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  const cpu = turn.process.cpuMicros() - before
  const busy = cpu / (MEASURED_MS * 1000)
  return {
    cpuMicrosPerRequest: cpu / requests,
    requestsPerSecond: requests / seconds,
    p50,
    p99,
    busy,
    disturbance: 0
  }
}

/** The service listener refuses a foreign Host. */
function callRequest(path: string): Buffer {
  return Buffer.from(getRequest(path, SERVICE_TOKEN).toString().replace('bench.example', '127.0.0.1'))
}

function postRequest(path: string): Buffer {
  const body = '{"openid":"oBenchmark00000000000000","scene":2,"version":2,"content":"tea"}'
  const head = callRequest(path).toString().replace('GET', 'POST').trimEnd()
  return Buffer.from(`${head}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

async function start(folder: string, upstreamPort: number): Promise<Turn[]> {
  const references = subjects.filter(({ name }) => name === STOCK || name === `${STOCK}-log`)
  const stock: Turn[] = []
  for (const { name, start } of references) {
    const running = await start({ core: GATEWAY_CORE, upstreamPort, folder, tokenCount: 1 })
    stock.push({ name, ...running, request: getRequest('/api/orders', running.tokens[0]), samples: [] })
  }
  const gateway = await startWxgate({
    core: GATEWAY_CORE,
    folder,
    name: 'egress',
    upstreamPort,
    accessLog: true,
    apiBase: `http://127.0.0.1:${upstreamPort}`
  })
  const path = `/wxapi/${APP_ID}/wxa/msg_sec_check`
  const { process, servicePort: port } = gateway
  return [
    ...stock,
    { name: 'egress, GET', port, process, request: callRequest(path), samples: [] },
    { name: 'egress, POST', port, process, request: postRequest(path), samples: [] }
  ]
}

pinMyself(LOAD_CORE)
const rounds = Number(process.argv[2] ?? '9')
const upstream = await startUpstream()
const turns = await start(temporaryFolder(), upstream.port)
try {
  for (const turn of turns) await load(turn, WARM_UP_MS)
  for (let round = 0; round < rounds; round += 1) for (const turn of turns) turn.samples.push(await measure(turn))
  const cells: Cell[] = turns.map(({ name, samples }) => ({ subject: name, tokens: 1, samples }))
  process.stdout.write(
    '| subject | CPU µs per call | of stock | of stock-log | p50 ms | p99 ms | calls/s |\n|---|---|---|---|---|---|---|\n'
  )
  for (const cell of cells) {
    const figures = (['cpuMicrosPerRequest', 'p50', 'p99', 'requestsPerSecond'] as const).map((field) =>
      medianOf(cell, field)
    )
    const [cpu = 0, p50 = 0, p99 = 0, rate = 0] = figures
    const ratios = cells.slice(0, 2).map((reference) => (cpuRatio(cell, reference) ?? Number.NaN).toFixed(2))
    const row = [cell.subject, cpu.toFixed(1), ...ratios, p50.toFixed(2), p99.toFixed(2), rate.toFixed(0)]
    process.stdout.write(`| ${row.join(' | ')} |\n`)
  }
  process.stdout.write(`\nTarget: at most ${TARGET} of stock.\n`)
} finally {
  for (const { process: child } of turns) await child.stop()
  upstream.close()
}
process.exit()
