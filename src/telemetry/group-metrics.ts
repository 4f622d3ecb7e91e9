/** The metrics of several workers as one text. */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'

/** @param jsons Of each worker, as {@link Metrics.json} gives it.
 *  @param running Worker processes. */
export async function groupMetricsText(jsons: readonly unknown[], running: number): Promise<string> {
  const own = `# HELP wxgate_workers Worker processes\n# TYPE wxgate_workers gauge\nwxgate_workers ${running}\n`
  const registry = AggregatorRegistry.aggregate(jsons as MetricObjectWithValues<MetricValue<string>>[][])
  return `${await registry.metrics()}${own}`
}
