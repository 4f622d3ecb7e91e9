/** Metrics of the durable queues behind message push and notices of the pay API. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { QueueDepth } from './counters.ts'

/** Metrics of a durable queue for each app.
 *  @param subject Its events, at the start of a sentence. */
export function createQueueMetrics(registry: Registry, name: 'push' | 'pay', subject: string) {
  const registers = [registry]
  /** Every worker reports the depth of the shared store. */
  const gauge = (rest: string, help: string) =>
    new Gauge({ name: `wxgate_${name}_${rest}`, help, registers, labelNames: ['app'], aggregator: 'max' as const })
  const waitingEvents = gauge('waiting_events', `${subject} that wait for delivery, by app`)
  const waitingBytes = gauge('waiting_bytes', `${subject} that wait for delivery: their size, by app`)
  const deadEvents = gauge('dead_events', `${subject} that were given up, by app`)
  const depths = new Map<string, QueueDepth>()
  const events = new Counter({
    name: `wxgate_${name}_events_total`,
    help: `${subject} by app and result`,
    labelNames: ['app', 'result'],
    registers
  })
  return {
    events,
    /** Starts the series of an app at 0, and changes none that exists. */
    init(app: string, results: readonly string[]): void {
      for (const result of results) events.inc({ app, result }, 0)
      for (const gauge of [waitingEvents, waitingBytes, deadEvents]) gauge.inc({ app }, 0)
    },
    depths,
    setDepth(app: string, depth: QueueDepth): void {
      const { waiting, bytes, dead } = depth
      depths.set(app, depth)
      waitingEvents.set({ app }, waiting)
      waitingBytes.set({ app }, bytes)
      deadEvents.set({ app }, dead)
    }
  }
}
