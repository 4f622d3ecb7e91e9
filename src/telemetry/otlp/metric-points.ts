/** The metrics of the registry as OTLP writes them: the same names, cumulative since the start of
 *  the process. */
import { attribute, double, escaped, nanoseconds } from './json.ts'

/** A metric as prom-client's registry returns it. */
export interface ReadMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly values: readonly ReadValue[]
}

interface ReadValue {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly metricName?: string
}

export interface MetricPoints {
  /** Elements of `metrics`, joined. */
  readonly json: string
  readonly points: number
}

/** AGGREGATION_TEMPORALITY_CUMULATIVE. */
const CUMULATIVE = 2

/** @param startedAt Milliseconds since 1970, like `now`. */
export function metricPoints(metrics: readonly ReadMetric[], startedAt: number, now: number): MetricPoints {
  let points = 0
  const times = `"startTimeUnixNano":"${nanoseconds(startedAt)}","timeUnixNano":"${nanoseconds(now)}"`
  const list = metrics.flatMap(({ name, help, type, values }) => {
    const written = type === 'histogram' ? histogramPoints(name, values, times) : numberPoints(values, times)
    if (written.length === 0) return []
    points += written.length
    const start = `{"name":"${name}","description":"${escaped(help)}","unit":"${unitOf(name)}"`
    const data = `"dataPoints":[${written.join()}]`
    if (type === 'counter') return `${start},"sum":{"aggregationTemporality":${CUMULATIVE},"isMonotonic":true,${data}}}`
    if (type === 'histogram') return `${start},"histogram":{"aggregationTemporality":${CUMULATIVE},${data}}}`
    return `${start},"gauge":{${data}}}`
  })
  return { json: list.join(), points }
}

function numberPoints(values: readonly ReadValue[], times: string): string[] {
  return values.map(({ labels, value }) => `{${times},"asDouble":${double(value)},${attributes(labels)}}`)
}

/** prom-client lists a histogram's buckets, sum and count as values; buckets are added up. */
function histogramPoints(name: string, values: readonly ReadValue[], times: string): string[] {
  const series = new Map<string, { buckets: [bound: number, total: number][]; sum: number; count: number }>()
  for (const { labels, value, metricName } of values) {
    const { le, ...rest } = labels
    const key = attributes(rest)
    const found = series.get(key) ?? { buckets: [], sum: 0, count: 0 }
    series.set(key, found)
    if (metricName === `${name}_sum`) found.sum = value
    else if (metricName === `${name}_count`) found.count = value
    else if (le !== undefined && le !== '+Inf') found.buckets.push([Number(le), value])
  }
  return [...series].map(([key, { buckets, sum, count }]) => {
    const sorted = buckets.sort(([one], [other]) => one - other)
    const totals = [...sorted.map(([, total]) => total), count]
    const counts = totals.map((total, index) => `"${total - (totals[index - 1] ?? 0)}"`)
    const bounds = sorted.map(([bound]) => bound)
    return `{${times},"count":"${count}","sum":${double(sum)},"bucketCounts":[${counts}],"explicitBounds":[${bounds}],${key}}`
  })
}

function attributes(labels: ReadValue['labels']): string {
  const list = Object.entries(labels).map(([name, value]) => attribute(name, String(value)))
  return `"attributes":[${list}]`
}

/** UCUM, from the name's unit. */
function unitOf(name: string): string {
  if (/_seconds(?:_total)?$/.test(name)) return 's'
  return /_bytes(?:_total)?$/.test(name) ? 'By' : '1'
}
