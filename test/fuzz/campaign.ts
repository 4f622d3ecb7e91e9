/** Runs one fuzzer for a while: the number of inputs, and the smallest input that breaks a rule. */
import fc from 'fast-check'
import type { Fuzzer } from './fuzzer.ts'

export interface CampaignOptions {
  readonly seed: number
  /** Milliseconds. */
  readonly time: number
  /** At most this many inputs. */
  readonly runs?: number
  /** Path of an earlier finding, to repeat it. */
  readonly path?: string
}

export interface Finding {
  readonly fault: string
  /** JSON. */
  readonly input: string
  readonly seed: number
  readonly path: string
}

export interface Outcome {
  readonly runs: number
  readonly perSecond: number
  readonly finding: Finding | null
}

/** Milliseconds to reduce an input. */
const SHRINK_TIME = 15_000
const UNBOUNDED = 1_000_000_000

export async function runCampaign(fuzzer: Fuzzer<never>, options: CampaignOptions): Promise<Outcome> {
  const { seed, time, runs = UNBOUNDED, path } = options
  const deadline = performance.now() + time
  const began = performance.now()
  let count = 0
  let crash: string | null = null
  let deadlineOfShrinking = Number.POSITIVE_INFINITY
  const onCrash = (error: unknown) => {
    crash = `would have ended the process: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  }
  process.on('uncaughtException', onCrash)
  process.on('unhandledRejection', onCrash)
  const property = fc.asyncProperty(fuzzer.inputs as fc.Arbitrary<never>, async (input) => {
    const now = performance.now()
    // After a finding the same property runs on smaller inputs, until they are minimal or the time
    // is over.
    if (now > deadlineOfShrinking) return
    if (deadlineOfShrinking === Number.POSITIVE_INFINITY) {
      if (now > deadline) fc.pre(false)
      count++
    }
    crash = null
    const fault = await faultOf(fuzzer, input)
    const found = crash ?? fault
    if (found === null) return
    deadlineOfShrinking = Math.min(deadlineOfShrinking, performance.now() + SHRINK_TIME)
    throw new Error(found)
  })
  try {
    const details = await fc.check(property, {
      seed,
      numRuns: runs,
      maxSkipsPerRun: 0,
      interruptAfterTimeLimit: time + SHRINK_TIME,
      markInterruptAsFailure: false,
      ...(path === undefined ? {} : { path })
    })
    const perSecond = Math.round(count / ((performance.now() - began) / 1000))
    if (!details.failed || details.counterexample === null) return { runs: count, perSecond, finding: null }
    const { errorInstance, counterexample, counterexamplePath } = details
    const fault = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
    const finding = { fault, input: JSON.stringify(counterexample[0]), seed, path: counterexamplePath ?? '' }
    return { runs: count, perSecond, finding }
  } finally {
    process.off('uncaughtException', onCrash)
    process.off('unhandledRejection', onCrash)
  }
}

export async function faultOf(fuzzer: Fuzzer<never>, input: unknown): Promise<string | null> {
  try {
    return await fuzzer.check(input as never)
  } catch (error) {
    return `threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
  }
}
