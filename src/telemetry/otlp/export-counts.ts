/** Metrics of the export itself. Their series start at 0. */
import { Counter, type Registry } from 'prom-client'
import type { Loss, Signal } from './sender.ts'

type Result = 'exported' | Loss

const RESULTS: readonly Result[] = ['exported', 'rejected', 'failed', 'full', 'stopped']

export interface ExportCounts {
  add(signal: Signal, result: Result, items: number): void
  tryFailed(signal: Signal): void
  register(registry: Registry): void
}

export function createExportCounts({ metrics, logs }: { metrics: boolean; logs: boolean }): ExportCounts {
  const items = new Counter({
    name: 'wxgate_otlp_items_total',
    help: 'Spans, points of metrics and log lines for the collector, by signal and result',
    labelNames: ['signal', 'result'],
    registers: []
  })
  const failures = new Counter({
    name: 'wxgate_otlp_failed_requests_total',
    help: 'Requests that the collector did not answer with success, by signal',
    labelNames: ['signal'],
    registers: []
  })
  const signals: readonly Signal[] = [
    'traces',
    ...(metrics ? ['metrics' as const] : []),
    ...(logs ? ['logs' as const] : [])
  ]
  for (const signal of signals) {
    failures.inc({ signal }, 0)
    for (const result of RESULTS) items.inc({ signal, result }, 0)
  }
  return {
    add: (signal, result, count) => items.inc({ signal, result }, count),
    tryFailed: (signal) => failures.inc({ signal }),
    register(registry) {
      registry.registerMetric(items)
      registry.registerMetric(failures)
    }
  }
}
