/** One sample of the event stream: the counts of all processes since the sample before it. */
import type { Counters } from '../../telemetry/counters.ts'
import type { MeasuredTarget } from '../../telemetry/upstream-metrics.ts'
import { percentileOf } from './percentile.ts'
import { STATES, stateOf, type TargetStatus } from './upstreams.ts'

/** The totals of one process at one moment. Counters are live, so they are added up at once. */
export interface ProcessSample {
  readonly pid: number
  readonly requests: number
  readonly errors: number
  /** Requests by bound; the last one for longer requests. */
  readonly buckets: Float64Array
  /** Upper bounds, in seconds. */
  readonly bounds: readonly number[]
  readonly logins: number
  readonly loginFailures: number
  readonly wechatErrors: number
  readonly targets: readonly SampledTarget[]
  /** Of the recent failures; null without one. */
  readonly newestFailure: { readonly at: number; readonly name: string } | null
}

interface SampledTarget {
  readonly upstream: string
  readonly target: string
  readonly state: TargetStatus['state']
  readonly inFlight: number
  readonly waiting: number
  readonly tries: number
  readonly failed: number
}

const WECHAT_LOGIN_RESULTS = new Set<unknown>(['wechat_unavailable', 'wechat_misconfigured'])
const WECHAT_CALL_RESULTS = new Set<unknown>(['refused', 'failed'])

export interface SampledProcess {
  readonly pid: number
  readonly counters: Counters
  readonly targets: readonly MeasuredTarget[]
  readonly newestFailure: ProcessSample['newestFailure']
}

export function sampleOf({ pid, counters, targets, newestFailure }: SampledProcess): ProcessSample {
  const { requests: series, bounds, logins, wxapiCalls } = counters
  const buckets = new Float64Array(bounds.length + 1)
  let [requests, errors] = [0, 0]
  for (const { status, count, buckets: own } of series) {
    if (count === 0) continue
    requests += count
    if (status.startsWith('5')) errors += count
    let longer = count
    for (let index = 0; index < own.length; index++) {
      const value = own[index] ?? 0
      buckets[index] = (buckets[index] ?? 0) + value
      longer -= value
    }
    buckets[bounds.length] = (buckets[bounds.length] ?? 0) + longer
  }
  const sum = (samples: Counters['logins'], isWanted: (result: unknown) => boolean) =>
    samples.reduce((total, { labels, value }) => (isWanted(labels.result) ? total + value : total), 0)
  return {
    pid,
    requests,
    errors,
    buckets,
    bounds,
    logins: sum(logins, (result) => result === 'ok'),
    loginFailures: sum(logins, (result) => result !== 'ok'),
    wechatErrors:
      sum(logins, (result) => WECHAT_LOGIN_RESULTS.has(result)) +
      sum(wxapiCalls, (result) => WECHAT_CALL_RESULTS.has(result)),
    targets: targets.map(sampleTarget),
    newestFailure
  }
}

function sampleTarget(measured: MeasuredTarget): SampledTarget {
  const { upstream, target, inFlight, waiting, tries } = measured
  let total = 0
  for (const count of tries.values()) total += count
  const failed = (tries.get('failed') ?? 0) + (tries.get('5xx') ?? 0)
  return { upstream, target, state: stateOf(measured), inFlight, waiting, tries: total, failed }
}

/** The samples of all processes that answered. */
export interface Taken {
  /** Milliseconds since the epoch, and monotonic milliseconds. */
  readonly now: number
  readonly monotonic: number
  readonly samples: readonly ProcessSample[]
}

/** The text of an event. A process that was not there before counts from the next sample on. */
export function sampleText(before: Taken, after: Taken): string {
  const known = new Map(before.samples.map((sample) => [sample.pid, sample]))
  const pairs = after.samples.flatMap((sample) => {
    const former = known.get(sample.pid)
    return former === undefined ? [] : [[former, sample] as const]
  })
  const since = (name: 'requests' | 'errors' | 'logins' | 'loginFailures' | 'wechatErrors') =>
    pairs.reduce((total, [former, sample]) => total + sample[name] - former[name], 0)
  const bounds = after.samples[0]?.bounds ?? []
  const buckets = new Float64Array(bounds.length + 1)
  for (const [former, sample] of pairs)
    for (const [index, value] of sample.buckets.entries())
      buckets[index] = (buckets[index] ?? 0) + value - (former.buckets[index] ?? 0)
  const inMs = bounds.map((bound) => bound * 1000)
  const targets = addUpTargets(pairs)
  const sample = {
    time: new Date(after.now).toISOString(),
    seconds: Math.round(after.monotonic - before.monotonic) / 1000,
    requests: since('requests'),
    errors: since('errors'),
    p50_ms: percentileOf(inMs, buckets, 0.5),
    p99_ms: percentileOf(inMs, buckets, 0.99),
    in_flight: targets.reduce((total, { in_flight }) => total + in_flight, 0),
    logins: since('logins'),
    login_failures: since('loginFailures'),
    wechat_errors: since('wechatErrors'),
    newest_failure: newestOf(after.samples),
    targets
  }
  return `event: sample\ndata: ${JSON.stringify(sample)}\n\n`
}

interface LiveTarget {
  readonly upstream: string
  readonly target: string
  state: TargetStatus['state']
  in_flight: number
  waiting: number
  tries: number
  failed: number
}

const keyOf = ({ upstream, target }: SampledTarget) => `${upstream} ${target}`

/** Of the states of a target, the worst counts. */
function addUpTargets(pairs: readonly (readonly [ProcessSample, ProcessSample])[]): LiveTarget[] {
  const live = new Map<string, LiveTarget>()
  for (const [former, sample] of pairs) {
    const known = new Map(former.targets.map((target) => [keyOf(target), target]))
    for (const measured of sample.targets) {
      const { upstream, target, state } = measured
      const key = keyOf(measured)
      const sum = live.get(key) ?? { upstream, target, state, in_flight: 0, waiting: 0, tries: 0, failed: 0 }
      live.set(key, sum)
      if (STATES.indexOf(state) < STATES.indexOf(sum.state)) sum.state = state
      sum.in_flight += measured.inFlight
      sum.waiting += measured.waiting
      // The counts of a target that left and came back start at 0 again.
      sum.tries += Math.max(0, measured.tries - (known.get(key)?.tries ?? 0))
      sum.failed += Math.max(0, measured.failed - (known.get(key)?.failed ?? 0))
    }
  }
  return [...live.values()]
}

function newestOf(samples: readonly ProcessSample[]): string | null {
  let newest: ProcessSample['newestFailure'] = null
  for (const { newestFailure } of samples)
    if (newestFailure !== null && (newest === null || newestFailure.at >= newest.at)) newest = newestFailure
  return newest === null ? null : newest.name
}
