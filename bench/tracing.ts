/** Measures what traces cost: CPU per proxied request with `telemetry.otlp`, beside the same
 *  gateway without it: `node bench/tracing.ts [ROUNDS]`. A minute. The gateways are pinned to core
 *  0 and take turns; the load, the upstream and the collector are this process, pinned to core
 *  1. */
import { createServer } from 'node:http'
import { getRequest, runLoad } from './load.ts'
import { freePort, pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { logIn } from './tokens.ts'
import { startUpstream, UPSTREAM_BODY } from './upstream.ts'
import { APP_ID, startWxgate } from './wxgate.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64
const WARM_UP_MS = 3000
const MEASURED_MS = 2000
const SHARES = ['0%', '10%', '100%']
/** More CPU per request with a share of 10 %. */
const TARGET = 0.05

interface Turn {
  readonly name: string
  readonly port: number
  readonly request: Buffer
  readonly process: { cpuMicros(): number; stop(): Promise<void> }
  /** CPU microseconds per request, one for each round. */
  readonly costs: number[]
}

async function load({ name, port, request }: Turn, durationMs: number): Promise<number> {
  const options = { port, requests: [request], connections: CONNECTIONS, durationMs, expectedBody: UPSTREAM_BODY }
  const { errors, firstError, requests } = await runLoad(options)
  if (errors > 0) throw new Error(`${name} gave ${errors} wrong answers: ${firstError}`)
  return requests
}

async function start(folder: string, upstreamPort: number, collectorPort: number): Promise<Turn[]> {
  const turns: Turn[] = []
  for (const sample of [null, ...SHARES]) {
    const name = sample === null ? 'without' : `sample: ${sample}`
    const otlp = sample === null ? undefined : { endpoint: `http://127.0.0.1:${collectorPort}`, sample }
    const gateway = await startWxgate({
      core: GATEWAY_CORE,
      folder,
      name: `tracing-${turns.length}`,
      upstreamPort,
      accessLog: true,
      apiBase: 'sandbox',
      store: 'memory:',
      ...(otlp === undefined ? {} : { telemetry: { otlp } })
    })
    const [token] = await logIn(gateway.port, APP_ID, 1)
    turns.push({ ...gateway, name, request: getRequest('/api/orders', token), costs: [] })
  }
  return turns
}

pinMyself(LOAD_CORE)
const rounds = Number(process.argv[2] ?? '7')
const upstream = await startUpstream()
const collectorPort = await freePort()
let exported = 0
const collector = createServer((req, res) => {
  req.on('data', (chunk: Buffer) => {
    exported += chunk.length
  })
  req.on('end', () => res.end('{}'))
}).listen(collectorPort, '127.0.0.1')
const turns = await start(temporaryFolder(), upstream.port, collectorPort)
try {
  for (const turn of turns) await load(turn, WARM_UP_MS)
  for (let round = 0; round < rounds; round++) {
    for (const turn of turns) {
      const before = turn.process.cpuMicros()
      const requests = await load(turn, MEASURED_MS)
      turn.costs.push((turn.process.cpuMicros() - before) / requests)
    }
  }
  const [reference] = turns
  process.stdout.write('| telemetry.otlp | CPU µs per request | of without |\n|---|---|---|\n')
  for (const { name, costs } of turns) {
    const ratio = median(costs.map((cost, round) => cost / (reference?.costs[round] ?? Number.NaN)))
    process.stdout.write(`| ${name} | ${median(costs).toFixed(1)} | ${ratio.toFixed(3)} |\n`)
  }
  process.stdout.write(`\n${(exported / 1e6).toFixed(1)} MB exported. Target: ${1 + TARGET} with 10%.\n`)
} finally {
  for (const { process: child } of turns) await child.stop()
  upstream.close()
  collector.close()
}
process.exit()
