/** p99 at 70 % of saturation, wxgate beside HAProxy, in turns: `node bench/saturation.ts [ROUNDS]`
 *  prints a Markdown table in about a minute. Each round finds the saturation of a subject and then
 *  asks at 70 % of it, at fixed times. Linux, two cores. */
import { rmSync } from 'node:fs'
import { getRequest } from './load.ts'
import { type PacedResult, quantile, runPaced } from './paced-load.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { haproxy, type Running, wxgate } from './subjects.ts'
import { startUpstream } from './upstream.ts'

const ROUNDS = Number(process.argv[2] ?? 7)
const ROUND_MS = 2_000
const CONNECTIONS = 64
const SHARE = 0.7
const TARGET = 2
const GATEWAY_CORE = 0
const LOAD_CORE = 1

interface Sample {
  readonly saturation: number
  readonly p50: number
  readonly p99: number
}

async function load({ port, tokens }: Running, perSecond: number | null): Promise<PacedResult> {
  const request = getRequest('/api/orders', tokens[0])
  const options = { port, request: () => request, connections: CONNECTIONS, durationMs: ROUND_MS, status: 200 }
  const result = await runPaced({ ...options, perSecond })
  if (result.failed > 0) throw new Error(`${result.failed} requests failed`)
  return result
}

async function measure(running: Running): Promise<Sample> {
  const { answered, seconds } = await load(running, null)
  const saturation = answered / seconds
  const { times } = await load(running, SHARE * saturation)
  return { saturation, p50: quantile(times, 0.5), p99: quantile(times, 0.99) }
}

pinMyself(LOAD_CORE)
const folder = temporaryFolder()
const upstream = await startUpstream()
const surroundings = { core: GATEWAY_CORE, upstreamPort: upstream.port, folder, tokenCount: 1 }
const subjects = [wxgate('wxgate', true), haproxy]
const runs: { name: string; running: Running; samples: Sample[] }[] = []
let ratio = Number.NaN
try {
  for (const { name, start } of subjects) runs.push({ name, running: await start(surroundings), samples: [] })
  for (const { running } of runs) await load(running, null)
  for (let round = 0; round < ROUNDS; round++)
    for (const { running, samples } of runs) samples.push(await measure(running))
  process.stdout.write('| subject | saturation, requests/s | p50 ms at 70 % | p99 ms at 70 % |\n|---|--:|--:|--:|\n')
  for (const { name, samples } of runs) {
    const [saturation, p50, p99] = (['saturation', 'p50', 'p99'] as const).map((field) =>
      median(samples.map((sample) => sample[field]))
    )
    process.stdout.write(`| ${name} | ${saturation?.toFixed(0)} | ${p50?.toFixed(2)} | ${p99?.toFixed(2)} |\n`)
  }
  const [ours, theirs] = runs.map(({ samples }) => samples.map(({ p99 }) => p99))
  ratio = median((ours ?? []).map((p99, round) => p99 / (theirs?.[round] ?? Number.NaN)))
  process.stdout.write(`\np99, wxgate to HAProxy: ${ratio.toFixed(2)} × (at most ${TARGET})\n`)
} finally {
  for (const { running } of runs) await running.process.stop()
  upstream.close()
  rmSync(folder, { recursive: true, force: true })
}
process.exit(ratio <= TARGET ? 0 : 1)
