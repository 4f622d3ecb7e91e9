/** One sample of the event stream: the counts since the sample before it. */
import type { Counters } from '../../telemetry/counters.ts'
import type { MeasuredTarget } from '../../telemetry/upstream-metrics.ts'
import { percentileOf } from './percentile.ts'
import { stateOf } from './upstreams.ts'

/** Readings at one moment. */
export interface Reading {
  /** Milliseconds since the epoch, and monotonic milliseconds. */
  readonly now: number
  readonly monotonic: number
  readonly counters: Counters
  readonly targets: readonly MeasuredTarget[]
  /** Id of the newest entry of the recent failures. */
  readonly newestFailure: number
}

/** The totals of a reading. Counters are live, so a reading itself does not keep its moment. */
export interface Totals {
  readonly monotonic: number
  readonly requests: number
  readonly errors: number
  /** Requests by bound; the last one for longer requests. */
  readonly buckets: Float64Array
  readonly logins: number
  readonly loginFailures: number
  readonly wechatErrors: number
  /** Tries and failed tries by upstream and target. */
  readonly tries: ReadonlyMap<string, readonly [tries: number, failed: number]>
}

const WECHAT_LOGIN_RESULTS = new Set<unknown>(['wechat_unavailable', 'wechat_misconfigured'])
const WECHAT_CALL_RESULTS = new Set<unknown>(['refused', 'failed'])

export function totalsOf({ monotonic, counters, targets }: Reading): Totals {
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
    monotonic,
    requests,
    errors,
    buckets,
    logins: sum(logins, (result) => result === 'ok'),
    loginFailures: sum(logins, (result) => result !== 'ok'),
    wechatErrors:
      sum(logins, (result) => WECHAT_LOGIN_RESULTS.has(result)) +
      sum(wxapiCalls, (result) => WECHAT_CALL_RESULTS.has(result)),
    tries: new Map(targets.map((target) => [keyOf(target), triesOf(target)]))
  }
}

/** The text of an event. */
export function sampleText(reading: Reading, before: Totals, after: Totals): string {
  const { now, counters, targets, newestFailure } = reading
  const inMs = counters.bounds.map((bound) => bound * 1000)
  const buckets = after.buckets.map((value, index) => value - (before.buckets[index] ?? 0))
  const since = (name: 'requests' | 'errors' | 'logins' | 'loginFailures' | 'wechatErrors') =>
    after[name] - before[name]
  const sample = {
    time: new Date(now).toISOString(),
    seconds: Math.round(after.monotonic - before.monotonic) / 1000,
    requests: since('requests'),
    errors: since('errors'),
    p50_ms: percentileOf(inMs, buckets, 0.5),
    p99_ms: percentileOf(inMs, buckets, 0.99),
    in_flight: targets.reduce((total, { inFlight }) => total + inFlight, 0),
    logins: since('logins'),
    login_failures: since('loginFailures'),
    wechat_errors: since('wechatErrors'),
    newest_failure: String(newestFailure),
    targets: targets.map((target) => describe(target, before.tries.get(keyOf(target))))
  }
  return `event: sample\ndata: ${JSON.stringify(sample)}\n\n`
}

function describe(target: MeasuredTarget, before: readonly [number, number] = [0, 0]) {
  const [tries, failed] = triesOf(target)
  return {
    upstream: target.upstream,
    target: target.target,
    state: stateOf(target),
    in_flight: target.inFlight,
    waiting: target.waiting,
    // The counts of a target that left and came back start at 0 again.
    tries: Math.max(0, tries - before[0]),
    failed: Math.max(0, failed - before[1])
  }
}

function keyOf({ upstream, target }: MeasuredTarget): string {
  return `${upstream} ${target}`
}

function triesOf({ tries }: MeasuredTarget): readonly [number, number] {
  let total = 0
  for (const count of tries.values()) total += count
  return [total, (tries.get('failed') ?? 0) + (tries.get('5xx') ?? 0)]
}
