/** Histogram of request durations by route and status. Counts in plain numbers, which are formatted
 *  when a scrape asks. */
import type { Metric } from 'prom-client'
import { STATUS_CODES } from '../node-http.ts'

const NAME = 'wxgate_request_duration_seconds'

/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Success, and the statuses of failures: alerts ask for their increase. */
const INITIAL_STATUSES = [200, 500, 502, 503, 504]

/** The counts of one route and status. */
export interface MeasuredSeries {
  readonly route: string
  /** Three digits, or a class such as `4xx`. */
  readonly status: string
  /** By bound, each request counted once; longer requests only in `count`. */
  readonly buckets: Float64Array
  readonly count: number
}

interface Series extends MeasuredSeries {
  count: number
  sum: number
}

export interface RequestHistogram {
  observe(route: string, status: number, seconds: number): void
  /** Starts the series of a route at 0. */
  init(route: string): void
  /** In the shape that prom-client's registry reads. */
  readonly metric: Metric
  /** The live counts. */
  measured(): readonly MeasuredSeries[]
  /** Upper bounds of the buckets, in seconds. */
  readonly bounds: readonly number[]
}

/** @param ownStatuses Statuses of the gateway that are not registered for HTTP. */
export function createRequestHistogram(ownStatuses: readonly number[]): RequestHistogram {
  const knownStatuses: ReadonlySet<number> = new Set([...Object.keys(STATUS_CODES).map(Number), ...ownStatuses])
  const series = new Map<string, Map<number, Series>>()

  function seriesOf(route: string, status: number): Series {
    let byStatus = series.get(route)
    if (!byStatus) {
      byStatus = new Map()
      series.set(route, byStatus)
    }
    // An upstream can send any three digits. Unknown ones count as their class, which bounds the
    // label.
    const key = knownStatuses.has(status) ? status : Math.trunc(status / 100)
    let found = byStatus.get(key)
    if (!found) {
      const label = key < 100 ? `${key}xx` : String(key)
      found = { route, status: label, buckets: new Float64Array(BUCKETS.length), count: 0, sum: 0 }
      byStatus.set(key, found)
    }
    return found
  }

  const measured = () => [...series.values()].flatMap((byStatus) => [...byStatus.values()])
  const get = async () => ({
    name: NAME,
    help: 'Requests by route and status, from the first byte to the last',
    type: 'histogram',
    values: measured().flatMap(valuesOf),
    aggregator: 'sum'
  })
  return {
    observe(route, status, seconds) {
      const found = series.get(route)?.get(status) ?? seriesOf(route, status)
      found.count++
      found.sum += seconds
      let index = 0
      while (index < BUCKETS.length && seconds > (BUCKETS[index] ?? 0)) index++
      if (index < BUCKETS.length) found.buckets[index] = (found.buckets[index] ?? 0) + 1
    },
    init(route) {
      for (const status of INITIAL_STATUSES) seriesOf(route, status)
    },
    metric: { name: NAME, type: 'histogram', aggregator: 'sum', get, reset() {} } as unknown as Metric,
    measured,
    bounds: BUCKETS
  }
}

/** Buckets are counted apart and added up here. */
function valuesOf({ route, status, buckets, count, sum }: Series) {
  let total = 0
  const cumulative = BUCKETS.map((le, index) => {
    total += buckets[index] ?? 0
    return { metricName: `${NAME}_bucket`, labels: { le, route, status }, value: total }
  })
  return [
    ...cumulative,
    { metricName: `${NAME}_bucket`, labels: { le: '+Inf', route, status }, value: count },
    { metricName: `${NAME}_sum`, labels: { route, status }, value: sum },
    { metricName: `${NAME}_count`, labels: { route, status }, value: count }
  ]
}
