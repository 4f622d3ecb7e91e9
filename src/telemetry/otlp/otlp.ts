/** The export of traces, metrics and log lines to an OpenTelemetry collector, by OTLP over HTTP in
 *  JSON. Loaded only where `telemetry.otlp` is configured. */
import { randomUUID } from 'node:crypto'
import type { Registry } from 'prom-client'
import { Pool } from 'undici'
import type { Clock, Timer } from '../../clock.ts'
import type { Log } from '../log.ts'
import { type Batches, createBatches } from './batches.ts'
import { createExportCounts, type ExportCounts } from './export-counts.ts'
import { type LineContext, logRecord } from './log-records.ts'
import { metricPoints, type ReadMetric } from './metric-points.ts'
import { describeResource } from './resource.ts'
import { createSender, type Sender, type Signal } from './sender.ts'
import { createSpans, type Spans } from './spans.ts'

export interface OtlpOptions {
  /** Without a slash at its end. */
  readonly endpoint: string
  /** May hold credentials. */
  readonly headers: Readonly<Record<string, string>>
  readonly metrics: boolean
  readonly intervalMs: number
  readonly logs: boolean
}

export interface OtlpDeps {
  readonly clock: Clock
  /** Of this gateway. */
  readonly version: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reports that exports fail, and that they succeed again. A function, because the log is opened
   *  with the export of its lines. */
  readonly log: () => Pick<Log, 'info' | 'warn'>
  /** Default: `Math.random`. */
  readonly random?: () => number
}

export interface Otlp {
  readonly spans: Spans
  /** Takes a line of the log in JSON. Null: lines are not exported.
   *  @param context Default: that of `followTraces`. */
  readonly line: ((line: string, context?: LineContext) => void) | null
  /** Headers of the exports from now on, in place of those of the options. */
  useHeaders(headers: Readonly<Record<string, string>>): void
  /** @param current Ids of the request that the current code belongs to. */
  followTraces(current: () => LineContext | null): void
  /** Counts exports in the registry, and exports its metrics. */
  useRegistry(registry: Registry): void
  /** Sends everything so far; resolves when the collector has it, or has lost it. */
  flush(): Promise<void>
  /** Sends what is left, for at most `ms` milliseconds, and ends. 0: ends at once. */
  close(ms: number): Promise<void>
}

/** A difference of the clocks that is corrected: the system time was set (milliseconds). */
const CLOCK_SLACK = 5
/** Milliseconds between two comparisons of the clocks. */
const CLOCK_CHECK = 1_000
const SCOPE = '"scope":{"name":"wxgate"'

export function createOtlp(options: OtlpOptions, deps: OtlpDeps): Otlp {
  const { clock, version, log, random = Math.random } = deps
  const startedAt = clock.now()
  const { origin, pathname } = new URL(options.endpoint)
  const pool = new Pool(origin, { connections: 3, pipelining: 1 })
  const headersOf = (given: OtlpOptions['headers']) => ({
    'user-agent': `wxgate/${version}`,
    ...Object.fromEntries(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value])),
    'content-type': 'application/json'
  })
  let headers = headersOf(options.headers)
  const resource = describeResource({ version, instanceId: randomUUID(), env: deps.env })
  const epoch = createEpoch(clock)
  const counts = createExportCounts(options)
  let registry: Registry | null = null
  let timer: Timer | null = null
  let currentTrace: () => LineContext | null = () => null

  function open(signal: Signal): Sender {
    const outage = reportOutage(signal, log)
    const path = `${pathname.replace(/\/+$/, '')}/v1/${signal}`
    const events = {
      exported(items: number) {
        counts.add(signal, 'exported', items)
        outage.ended()
      },
      lost: (items: number, loss: Parameters<ExportCounts['add']>[1]) => counts.add(signal, loss, items),
      tryFailed(cause: string) {
        counts.tryFailed(signal)
        outage.began(cause)
      }
    }
    return createSender({ pool, path, headers: () => headers, clock, random, events })
  }

  function envelope(resources: string, scopes: string, list: string): readonly [string, string] {
    const scope = `${SCOPE},"version":"${version}"}`
    return [`{"${resources}":[{"resource":${resource},"${scopes}":[{${scope},"${list}":[`, ']}]}]}']
  }

  const traces = open('traces')
  const spanBatches = batchesOf(traces, envelope('resourceSpans', 'scopeSpans', 'spans'))
  const logs = options.logs ? open('logs') : null
  const lineBatches = logs && batchesOf(logs, envelope('resourceLogs', 'scopeLogs', 'logRecords'))
  const metrics = options.metrics ? open('metrics') : null
  const [beforeMetrics, behindMetrics] = envelope('resourceMetrics', 'scopeMetrics', 'metrics')

  function batchesOf(sender: Sender, around: readonly [string, string]): Batches {
    return createBatches({ envelope: around, clock, onBatch: (batch) => sender.send(batch) })
  }

  async function exportMetrics(): Promise<void> {
    if (metrics === null || registry === null) return
    const read = (await registry.getMetricsAsJSON()) as unknown as readonly ReadMetric[]
    const { json, points } = metricPoints(read, startedAt, clock.now())
    // The next export has the same series, newer.
    if (!metrics.isIdle) counts.add('metrics', 'full', points)
    else metrics.send({ body: Buffer.from(beforeMetrics + json + behindMetrics), items: points })
  }

  function schedule(): void {
    timer = clock.setTimeout(() => {
      exportMetrics().catch(() => counts.tryFailed('metrics'))
      schedule()
    }, options.intervalMs)
    timer.unref()
  }

  const senders = [traces, logs, metrics].filter((sender) => sender !== null)
  async function flush(): Promise<void> {
    spanBatches.flush()
    lineBatches?.flush()
    await exportMetrics()
    await Promise.all(senders.map((sender) => sender.idle()))
  }

  return {
    spans: createSpans({ add: spanBatches.add, epoch }),
    line:
      lineBatches &&
      ((line, context) => {
        const record = logRecord(line, context ?? currentTrace())
        if (record !== null) lineBatches.add(record)
      }),
    useHeaders(given) {
      headers = headersOf(given)
    },
    followTraces(current) {
      currentTrace = current
    },
    useRegistry(given) {
      registry = given
      counts.register(given)
      if (options.metrics) schedule()
    },
    flush,
    async close(ms) {
      if (timer !== null) clock.clearTimeout(timer)
      if (ms > 0) {
        const bound = Promise.withResolvers<void>()
        const giveUp = clock.setTimeout(bound.resolve, ms)
        await Promise.race([flush().catch(() => {}), bound.promise])
        clock.clearTimeout(giveUp)
      }
      for (const sender of senders) sender.stop()
      await pool.destroy()
    }
  }
}

/** Milliseconds since 1970 at 0 of `performance.now()`. Spans of one trace share it while the
 *  system time is not set. */
function createEpoch(clock: Pick<Clock, 'now'>): (now: number) => number {
  let epoch = performance.timeOrigin
  let checkAt = 0
  return (now) => {
    if (now < checkAt) return epoch
    checkAt = now + CLOCK_CHECK
    const current = clock.now() - performance.now()
    if (Math.abs(current - epoch) > CLOCK_SLACK) epoch = current
    return epoch
  }
}

/** One line when exports of a signal begin to fail, and one when they succeed again. */
function reportOutage(signal: Signal, log: OtlpDeps['log']) {
  let isOut = false
  return {
    began(cause: string) {
      if (!isOut)
        log().warn({ event: 'otlp_failed', signal, cause }, 'the collector of telemetry.otlp does not take exports')
      isOut = true
    },
    ended() {
      if (isOut) log().info({ event: 'otlp_resumed', signal }, 'the collector of telemetry.otlp takes exports again')
      isOut = false
    }
  }
}
