/** A flood of invalid tokens: how many one core refuses, and how long requests with valid
 *  tokens take meanwhile. `node bench/flood.ts [seconds per measurement]`; about three minutes. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { kindsOf, prepare, WORST } from './bad-tokens.ts'
import type { HostileOrder, HostileResult } from './hostile-load.ts'
import { type PacedOptions, type PacedResult, quantile, runPaced } from './paced-load.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { logIn } from './tokens.ts'
import { startUpstream } from './upstream.ts'
import { APP_ID, startSandbox, startWxgate } from './wxgate.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const PATH = '/api/orders'
const USERS = 200
/** 10 % and 90 %. */
const HOSTILE_PER_GOOD = 9
/** Shares of the core's capacity that both loads together ask for. */
const SHARES = [0.25, 0.5, 0.75]
/** Hostile clients that ask again as soon as they are answered, beside good ones that ask for
 *  this share of the core. */
const FLAT_OUT_SHARE = 0.25
const CONNECTIONS = 64
const ROUNDS = 5
const WARM_UP_MS = 5_000
const TARGET = 3
const GOOD = 'good tokens, for comparison'

const seconds = Number(process.argv[2] ?? 3)

async function runGood(
  options: Omit<PacedOptions, 'request' | 'status'>,
  request: PacedOptions['request']
): Promise<HostileResult> {
  const { times, ...counts } = await runPaced({ ...options, request, status: 200 })
  return { ...counts, p99: quantile(times, 0.99) }
}

function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`)
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`)
  process.stdout.write(`${lines.join('\n')}\n\n`)
}

function check({ failed, answered }: Pick<PacedResult, 'failed' | 'answered'>, what: string): void {
  if (failed > 0)
    process.stdout.write(`${what}: ${failed} of ${answered + failed} were not answered as they should have been\n`)
}

pinMyself(LOAD_CORE)
// The child inherits the core.
const hostileClients = fork(join(import.meta.dirname, 'hostile-load.ts'))

async function runHostile(order: HostileOrder): Promise<HostileResult> {
  hostileClients.send(order)
  const [result] = await once(hostileClients, 'message', { signal: AbortSignal.timeout(order.durationMs + 10_000) })
  return result
}

const folder = temporaryFolder()
const sandbox = await startSandbox(LOAD_CORE)
const upstream = await startUpstream()
const gateway = await startWxgate({
  core: GATEWAY_CORE,
  folder,
  name: 'flood',
  upstreamPort: upstream.port,
  accessLog: true,
  apiBase: sandbox.url
})
try {
  const { port } = gateway
  const tokens = await logIn(port, APP_ID, USERS)
  const goodRequest = prepare(PATH, (n) => tokens[n % tokens.length], USERS)
  const durationMs = seconds * 1000
  const flatOut = { port, connections: CONNECTIONS, perSecond: null, durationMs }
  // Until the optimizing compiler has run: about 30,000 requests.
  await runPaced({ ...flatOut, request: goodRequest, status: 200, durationMs: WARM_UP_MS })

  const hostile = { port, path: PATH, good: tokens[0] ?? '', connections: CONNECTIONS, perSecond: null, durationMs }
  const perSecondOf: Record<string, number> = {}
  const refusals: string[][] = [['credential', 'refused/s', 'CPU µs each', 'p99 ms']]
  for (const kind of [GOOD, ...Object.keys(kindsOf(hostile.good))]) {
    const cpu = gateway.process.cpuMicros()
    const result = kind === GOOD ? await runGood(flatOut, goodRequest) : await runHostile({ ...hostile, kind })
    check(result, kind)
    perSecondOf[kind] = result.answered / result.seconds
    const each = (gateway.process.cpuMicros() - cpu) / result.answered
    refusals.push([kind, (result.answered / result.seconds).toFixed(0), each.toFixed(1), result.p99.toFixed(2)])
  }
  print(refusals)

  const costOf = (name: string): number => 1 / (perSecondOf[name] ?? 1)
  const capacity = 1 / (costOf(GOOD) + HOSTILE_PER_GOOD * costOf(WORST))
  const felt: string[][] = [
    ['core', 'good/s', 'hostile/s', 'p50 quiet', 'p50 beside', 'p99 quiet', 'p99 beside', 'ratio of p99', `≤ ${TARGET}`]
  ]
  const loads = SHARES.map((share) => {
    const perSecond = Math.max(1, Math.round(share * capacity))
    return { name: `${share * 100} %`, perSecond, hostilePerSecond: (perSecond * HOSTILE_PER_GOOD) as number | null }
  })
  loads.push({
    name: 'all of it',
    perSecond: Math.round(FLAT_OUT_SHARE / costOf(GOOD)),
    hostilePerSecond: null
  })
  for (const { name, perSecond, hostilePerSecond } of loads) {
    const good = { port, request: goodRequest, connections: CONNECTIONS / 8, perSecond, durationMs, status: 200 }
    const order = { ...hostile, kind: WORST, perSecond: hostilePerSecond }
    const samples: { p50: number; p99: number; p50Beside: number; p99Beside: number; hostile: number }[] = []
    // In turns, so that other load on the machine affects both. The first turn only warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      const quiet = await runPaced(good)
      const [beside, refused] = await Promise.all([runPaced(good), runHostile(order)])
      for (const result of [quiet, beside, refused]) check(result, `${perSecond} good/s`)
      if (round === 0) continue
      samples.push({
        p50: quantile(quiet.times, 0.5),
        p99: quantile(quiet.times, 0.99),
        p50Beside: quantile(beside.times, 0.5),
        p99Beside: quantile(beside.times, 0.99),
        hostile: refused.answered / refused.seconds
      })
    }
    const of = (key: keyof (typeof samples)[number]): number => median(samples.map((sample) => sample[key]))
    const ratio = median(samples.map((sample) => sample.p99Beside / sample.p99))
    felt.push([
      name,
      String(perSecond),
      of('hostile').toFixed(0),
      ...[of('p50'), of('p50Beside'), of('p99'), of('p99Beside')].map((ms) => `${ms.toFixed(2)} ms`),
      ratio.toFixed(2),
      ratio <= TARGET ? 'yes' : 'NO'
    ])
  }
  print(felt)
} finally {
  hostileClients.kill()
  await gateway.process.stop()
  await sandbox.process.stop()
  upstream.close()
}
