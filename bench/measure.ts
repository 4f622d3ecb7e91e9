/** Loads one running subject and takes a sample of its cost. */
import { truncateSync } from 'node:fs'
import { type LoadResult, runLoad } from './load.ts'
import { machineCpuMicros } from './processes.ts'
import type { Sample } from './statistics.ts'
import type { Running } from './subjects.ts'

const SETTLE_MS = 50
/** Not measured: the caches of the core still hold the previous subject. */
const LEAD_IN_MS = 200

export interface Asked {
  readonly name: string
  readonly running: Running
  readonly requests: readonly Buffer[]
  readonly expectedBody: string
  readonly connections: number
}

/** Throws at a wrong answer. */
export async function load(
  { name, running, ...asked }: Asked,
  durationMs: number,
  onConnected = () => {}
): Promise<LoadResult> {
  const result = await runLoad({ port: running.port, isTls: running.isTls ?? false, durationMs, onConnected, ...asked })
  if (result.errors > 0) throw new Error(`${name} gave ${result.errors} wrong answers: ${result.firstError}`)
  return result
}

export async function measure(asked: Asked, durationMs: number): Promise<Sample> {
  const { process: measured, logFile } = asked.running
  if (logFile !== undefined) truncateSync(logFile)
  await load(asked, LEAD_IN_MS)
  let ownBefore = process.cpuUsage()
  let machineBefore = 0
  let cpuBefore = 0
  const onConnected = () => {
    ownBefore = process.cpuUsage()
    machineBefore = machineCpuMicros()
    cpuBefore = measured.cpuMicros()
  }
  const { requests, seconds, p50, p99 } = await load(asked, durationMs, onConnected)
  // Work that follows the answers, such as writing the log.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  const cpu = measured.cpuMicros() - cpuBefore
  const own = process.cpuUsage(ownBefore)
  const others = machineCpuMicros() - machineBefore - cpu - own.user - own.system
  return {
    cpuMicrosPerRequest: cpu / requests,
    requestsPerSecond: requests / seconds,
    p50,
    p99,
    busy: cpu / 1e6 / seconds,
    disturbance: Math.max(0, others / 1e6 / seconds)
  }
}
