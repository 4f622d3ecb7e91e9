/** Metrics of the process and of Node.js under their usual names: process_*, nodejs_*. */
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'

/** Gauges whose names end like those of counters. nodejs_active_handles and its siblings hold the
 *  same numbers by type. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

const START_TIME = 'process_start_time_seconds'

/** One set for the process: prom-client never ends what it begins to measure, which would keep each
 *  registry of a closed gateway. */
let shared: Registry | undefined

export function addProcessMetrics(registry: Registry): void {
  shared ??= measureProcess()
  for (const { name } of shared.getMetricsAsArray()) {
    const metric = shared.getSingleMetric(name)
    if (metric !== undefined) registry.registerMetric(metric)
  }
}

function measureProcess(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  for (const name of [...MISNAMED, START_TIME]) registry.removeSingleMetric(name)
  // prom-client leaves it out of the metrics of several workers.
  new Gauge({
    name: START_TIME,
    help: 'Start time of the process since unix epoch in seconds; of several workers, of the oldest',
    registers: [registry],
    aggregator: 'min'
  }).set(Math.round(Date.now() / 1000 - process.uptime()))
  return registry
}
