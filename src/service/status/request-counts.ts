/** Counts of requests from the buckets of the request histogram. */
import type { Counters } from '../../telemetry/counters.ts'
import { percentileOf } from './percentile.ts'
import type { RequestCountsStatus } from './routes.ts'

/** Counts by the path of a route. */
export function createRequestCounts({ requests, bounds }: Pick<Counters, 'requests' | 'bounds'>) {
  const byRoute = Map.groupBy(requests, ({ route }) => route)
  return { of: (path: string) => countRequests(byRoute.get(path) ?? [], bounds) }
}

/** @param bounds Upper bounds of the buckets in seconds. */
export function countRequests(series: Counters['requests'], bounds: readonly number[]): RequestCountsStatus {
  const statuses: Record<string, number> = {}
  const buckets = new Float64Array(bounds.length + 1)
  let requests = 0
  for (const { status, count, buckets: own } of series) {
    if (count === 0) continue
    requests += count
    const name = `${status[0]}xx`
    statuses[name] = (statuses[name] ?? 0) + count
    let longer = count
    for (const [index, value] of own.entries()) {
      buckets[index] = (buckets[index] ?? 0) + value
      longer -= value
    }
    buckets[bounds.length] = (buckets[bounds.length] ?? 0) + longer
  }
  const inMs = bounds.map((bound) => bound * 1000)
  return {
    requests,
    errors: statuses['5xx'] ?? 0,
    statuses,
    p50_ms: percentileOf(inMs, buckets, 0.5),
    p99_ms: percentileOf(inMs, buckets, 0.99)
  }
}
