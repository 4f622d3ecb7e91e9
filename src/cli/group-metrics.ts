/** Collects the metrics of all workers for the worker that serves the scrape. */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'

/** Time for the answers of the workers (milliseconds). */
const TIMEOUT = 1_000

export interface GroupMetrics {
  /** Asks each worker by `ask` and adds up the answers that arrive in time, as Prometheus text. */
  collect(workers: readonly { ask(id: number): void }[], running: number): Promise<string>
  /** Takes the answer of one worker. */
  answered(id: number, json: unknown): void
}

interface Collection {
  readonly jsons: unknown[]
  missing: number
  readonly done: () => void
}

export function createGroupMetrics(): GroupMetrics {
  const collections = new Map<number, Collection>()
  let nextId = 0

  return {
    async collect(workers, running) {
      const id = nextId++
      const jsons: unknown[] = []
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TIMEOUT)
        const done = () => {
          clearTimeout(timer)
          resolve()
        }
        collections.set(id, { jsons, missing: workers.length, done })
        for (const worker of workers) worker.ask(id)
      })
      collections.delete(id)
      const own = `# HELP wxgate_workers Worker processes\n# TYPE wxgate_workers gauge\nwxgate_workers ${running}\n`
      const registry = AggregatorRegistry.aggregate(jsons as MetricObjectWithValues<MetricValue<string>>[][])
      return `${await registry.metrics()}${own}`
    },
    answered(id, json) {
      const collection = collections.get(id)
      if (!collection) return
      collection.jsons.push(json)
      if (--collection.missing === 0) collection.done()
    }
  }
}
