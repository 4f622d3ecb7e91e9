/** Prometheus metrics. Requests are counted in plain numbers, which are formatted when a scrape
 *  asks. */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'

/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

interface Series {
  readonly route: string
  readonly status: string
  readonly buckets: Float64Array
  count: number
  sum: number
}

export interface Metrics {
  /** @param route Path of the route in the file, or `none`.
   *  @param seconds From the first byte to the last. */
  requestDone(route: string, status: number, seconds: number): void
  /** @param result `ok` or an error code. */
  loginDone(app: string, result: string): void
  refreshDone(result: string): void
  securityEvent(kind: string): void
  /** @param operation As the store's port names it. */
  storeFailed(operation: string): void
  /** Counts a reload, accepted or rejected. */
  reloadDone(isSuccessful: boolean): void
  /** Prometheus text exposition format 0.0.4. */
  text(): Promise<string>
  /** Used to add up the metrics of several workers. */
  json(): Promise<unknown>
  readonly contentType: string
}

export interface MetricsOptions {
  /** Seconds since the revocation feed was read to its end. */
  readonly feedAge: () => number
  readonly isStoreTrusted: () => boolean
  readonly revocations: () => number
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'wxgate_' })
  const registers = [registry]
  const series = new Map<string, Map<number, Series>>()
  registry.registerMetric(requestHistogram(series) as unknown as Metric)
  const logins = new Counter({
    name: 'wxgate_logins_total',
    help: 'Logins by app and result',
    labelNames: ['app', 'result'],
    registers
  })
  const refreshes = new Counter({
    name: 'wxgate_refreshes_total',
    help: 'Refreshes by result',
    labelNames: ['result'],
    registers
  })
  const security = new Counter({
    name: 'wxgate_security_events_total',
    help: 'Security events by kind',
    labelNames: ['kind'],
    registers
  })
  const storeErrors = new Counter({
    name: 'wxgate_store_errors_total',
    help: 'Operations that the store failed, by operation',
    labelNames: ['operation'],
    registers
  })
  /** @param aggregator Combines the values of several workers. */
  const gauge = (name: string, help: string, aggregator: 'max' | 'min', read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      aggregator,
      collect() {
        this.set(read())
      }
    })
  gauge(
    'wxgate_store_feed_age_seconds',
    'Time since the revocation feed was last read to its end',
    'max',
    options.feedAge
  )
  gauge('wxgate_store_trusted', '1 while revocations are known well enough to accept tokens', 'min', () =>
    Number(options.isStoreTrusted())
  )
  gauge('wxgate_revocations', 'Ended sessions and users held in memory', 'max', options.revocations)

  let lastReload = { isSuccessful: true, at: Date.now() }
  gauge('wxgate_config_last_reload_successful', 'Whether the newest configuration is in force', 'min', () =>
    Number(lastReload.isSuccessful)
  )
  gauge(
    'wxgate_config_last_reload_timestamp_seconds',
    'When the configuration was last read',
    'max',
    () => lastReload.at / 1000
  )

  function seriesOf(route: string, status: number): Series {
    let byStatus = series.get(route)
    if (!byStatus) {
      byStatus = new Map()
      series.set(route, byStatus)
    }
    let found = byStatus.get(status)
    if (!found) {
      found = { route, status: String(status), buckets: new Float64Array(BUCKETS.length), count: 0, sum: 0 }
      byStatus.set(status, found)
    }
    return found
  }

  return {
    requestDone(route, status, seconds) {
      const found = seriesOf(route, status)
      found.count++
      found.sum += seconds
      for (let index = 0; index < BUCKETS.length; index++) {
        if (seconds <= (BUCKETS[index] as number)) {
          found.buckets[index] = (found.buckets[index] as number) + 1
          break
        }
      }
    },
    loginDone: (app, result) => logins.inc({ app, result }),
    refreshDone: (result) => refreshes.inc({ result }),
    securityEvent: (kind) => security.inc({ kind }),
    storeFailed: (operation) => storeErrors.inc({ operation }),
    reloadDone(isSuccessful) {
      lastReload = { isSuccessful, at: Date.now() }
    },
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON(),
    contentType: registry.contentType
  }
}

/** A histogram in the form that the registry reads. Buckets are counted apart and added up here. */
function requestHistogram(series: ReadonlyMap<string, ReadonlyMap<number, Series>>) {
  const name = 'wxgate_request_duration_seconds'
  const get = () => {
    const values: unknown[] = []
    for (const byStatus of series.values()) {
      for (const { route, status, buckets, count, sum } of byStatus.values()) {
        let total = 0
        BUCKETS.forEach((le, index) => {
          total += buckets[index] as number
          values.push({ metricName: `${name}_bucket`, labels: { le, route, status }, value: total })
        })
        values.push({ metricName: `${name}_bucket`, labels: { le: '+Inf', route, status }, value: count })
        values.push({ metricName: `${name}_sum`, labels: { route, status }, value: sum })
        values.push({ metricName: `${name}_count`, labels: { route, status }, value: count })
      }
    }
    return { name, help: 'Requests by route and status', type: 'histogram', values, aggregator: 'sum' }
  }
  return { name, type: 'histogram', aggregator: 'sum', get: async () => get(), reset() {} }
}
