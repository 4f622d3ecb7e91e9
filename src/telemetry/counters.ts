/** Counts of the metrics in plain values, for GET /v1/status and its event stream. */
import type { MeasuredSeries } from './request-histogram.ts'

/** A value with its labels. */
export interface Sample {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

/** Counts since the start, one sample per combination of labels. */
export interface Counters {
  /** Labels `app`, `result`. */
  readonly logins: readonly Sample[]
  /** Calls of backends to WeChat's API. Labels `app`, `caller`, `result`. */
  readonly wxapiCalls: readonly Sample[]
  /** Labels `app`, `errcode`. */
  readonly errcodes: readonly Sample[]
  /** Labels `app`, `result`. */
  readonly pushEvents: readonly Sample[]
  readonly payEvents: readonly Sample[]
  /** Operations that the store failed. */
  readonly storeErrors: readonly Sample[]
  readonly requests: readonly MeasuredSeries[]
  /** Upper bounds of the buckets of `requests`, in seconds. */
  readonly bounds: readonly number[]
}

export interface QueueDepth {
  readonly waiting: number
  readonly bytes: number
  readonly dead: number
}

/** Message push and notices of the pay API, by appid. */
export type QueueDepths = Readonly<Record<'push' | 'pay', ReadonlyMap<string, QueueDepth>>>

interface Readable {
  get(): Promise<{ readonly values: readonly { readonly labels: object; readonly value: number }[] }>
}

/** @param metric A counter of prom-client. */
export async function samplesOf(metric: Readable): Promise<readonly Sample[]> {
  return (await metric.get()).values as readonly Sample[]
}

/** The sum of the samples whose labels contain `wanted`, by the label `by`. Names without a count
 *  are left out. */
export function sumBy(samples: readonly Sample[], by: string, wanted: Sample['labels'] = {}): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const { labels, value } of samples) {
    if (value === 0 || Object.entries(wanted).some(([name, text]) => labels[name] !== text)) continue
    const name = String(labels[by])
    sums[name] = (sums[name] ?? 0) + value
  }
  return sums
}
