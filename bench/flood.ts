/** A flood of tokens that are no good: how many of them one core refuses, and what those with good ones feel meanwhile.
 *  `node bench/flood.ts [seconds per measurement]`; well under two minutes. */
import { randomBytes } from 'node:crypto'
import { getRequest } from './load.ts'
import { type PacedResult, quantile, runPaced } from './paced-load.ts'
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
/** How much of what the core can do both together ask for. Beyond all of it every answer is late, whoever asks. */
const SHARES = [0.25, 0.5, 0.75]
const CONNECTIONS = 64
const ROUNDS = 3
const TARGET = 3
const GOOD = 'good tokens, for comparison'
const WORST = 'our header, another payload each'

const seconds = Number(process.argv[2] ?? 3)

/** Ways to be no good. Each request is another one, unless it says the same. */
function kindsOf(good: string): Readonly<Record<string, (n: number) => string | undefined>> {
  const [header = '', payload = '', signature = ''] = good.split('.')
  const junk = Array.from({ length: 20_000 }, () => randomBytes(32).toString('base64url'))
  const any = (n: number): string => junk[n % junk.length] ?? ''
  return {
    'no token': () => undefined,
    'the same wrong token': () => `${header}.${payload}.${any(0)}`,
    'our header, another signature each': (n) => `${header}.${payload}.${any(n)}`,
    [WORST]: (n) => `${header}.${payload.slice(0, -43)}${any(n)}.${signature}`,
    'another algorithm': (n) => `eyJhbGciOiJub25lIn0.${payload}.${any(n)}`,
    'no JWT': any,
    '3 KiB of nothing': (n) => any(n).repeat(75)
  }
}

/** Written ahead, so that the load costs little while it runs. */
function prepare(kind: (n: number) => string | undefined, count: number): (n: number) => Buffer {
  const requests = Array.from({ length: count }, (_, n) => getRequest(PATH, kind(n)))
  return (n) => requests[n % requests.length] as Buffer
}

function print(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  const lines = rows.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`)
  lines.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`)
  process.stdout.write(`${lines.join('\n')}\n\n`)
}

function check({ failed, answered }: PacedResult, what: string): void {
  if (failed > 0)
    process.stdout.write(`${what}: ${failed} of ${answered + failed} were not answered as they should have been\n`)
}

pinMyself(LOAD_CORE)
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
  const goodRequest = prepare((n) => tokens[n % tokens.length], USERS)
  const durationMs = seconds * 1000
  const flatOut = { port, connections: CONNECTIONS, perSecond: null, durationMs }
  await runPaced({ ...flatOut, request: goodRequest, status: 200, durationMs: 1_000 })

  const kinds = kindsOf(tokens[0] ?? '')
  const perSecondOf: Record<string, number> = {}
  const refusals: string[][] = [['what is sent', 'refused/s', 'CPU µs each', 'p99 ms']]
  for (const [name, kind] of Object.entries({ [GOOD]: null, ...kinds })) {
    const request = kind === null ? goodRequest : prepare(kind, 20_000)
    const cpu = gateway.process.cpuMicros()
    const result = await runPaced({ ...flatOut, request, status: kind === null ? 200 : 401 })
    check(result, name)
    perSecondOf[name] = result.answered / result.seconds
    const each = (gateway.process.cpuMicros() - cpu) / result.answered
    refusals.push([
      name,
      (result.answered / result.seconds).toFixed(0),
      each.toFixed(1),
      quantile(result.times, 0.99).toFixed(2)
    ])
  }
  print(refusals)

  const worst = prepare(kinds[WORST] ?? (() => ''), 20_000)
  const costOf = (name: string): number => 1 / (perSecondOf[name] ?? 1)
  const capacity = 1 / (costOf(GOOD) + HOSTILE_PER_GOOD * costOf(WORST))
  const felt: string[][] = [
    ['core', 'good/s', 'hostile/s', 'p50 quiet', 'p50 beside', 'p99 quiet', 'p99 beside', 'ratio of p99', `≤ ${TARGET}`]
  ]
  for (const share of SHARES) {
    const perSecond = Math.max(1, Math.round(share * capacity))
    const good = { port, request: goodRequest, connections: CONNECTIONS / 8, perSecond, durationMs, status: 200 }
    const samples: { p50: number; p99: number; p50Beside: number; p99Beside: number }[] = []
    // In turns, so that whatever else the machine does falls on both.
    for (let round = 0; round < ROUNDS; round++) {
      const quiet = await runPaced(good)
      const hostile = {
        ...good,
        request: worst,
        connections: CONNECTIONS,
        perSecond: perSecond * HOSTILE_PER_GOOD,
        status: 401
      }
      const [beside, refused] = await Promise.all([runPaced(good), runPaced(hostile)])
      for (const result of [quiet, beside, refused]) check(result, `${perSecond} good/s`)
      samples.push({
        p50: quantile(quiet.times, 0.5),
        p99: quantile(quiet.times, 0.99),
        p50Beside: quantile(beside.times, 0.5),
        p99Beside: quantile(beside.times, 0.99)
      })
    }
    const of = (key: keyof (typeof samples)[number]): number => median(samples.map((sample) => sample[key]))
    const ratio = median(samples.map((sample) => sample.p99Beside / sample.p99))
    felt.push([
      `${share * 100} %`,
      String(perSecond),
      String(perSecond * HOSTILE_PER_GOOD),
      ...[of('p50'), of('p50Beside'), of('p99'), of('p99Beside')].map((ms) => `${ms.toFixed(2)} ms`),
      ratio.toFixed(2),
      ratio <= TARGET ? 'yes' : 'NO'
    ])
  }
  print(felt)
} finally {
  await gateway.process.stop()
  await sandbox.process.stop()
  upstream.close()
}
