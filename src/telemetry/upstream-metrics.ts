/** Metrics of upstreams and their targets. The counts are kept where requests change them; a scrape
 *  reads them. The series of a target start at 0 with it and end with it. */
import type { Metric, Registry } from 'prom-client'

export interface MeasuredTarget {
  readonly upstream: string
  /** host:port, or the path of a socket. */
  readonly target: string
  readonly isHealthy: boolean
  readonly isEjected: boolean
  /** Null without a circuit breaker. */
  readonly breaker: 'closed' | 'halfOpen' | 'open' | null
  readonly inFlight: number
  readonly waiting: number
  /** Connections with a request or a WebSocket. */
  readonly busyConnections: number
  readonly idleConnections: number
  readonly ejections: number
  /** Tries by outcome. */
  readonly tries: ReadonlyMap<string, number>
  /** Times to the head of a response. */
  readonly heads: {
    /** In seconds. */
    readonly bounds: readonly number[]
    /** Of each bound, counted once; one more for longer times. */
    readonly counts: readonly number[]
    readonly seconds: number
  }
}

export interface MeasuredUpstream {
  readonly upstream: string
  readonly retries: number
  readonly retriesRefused: number
  /** Requests that were refused without a try, by reason. */
  readonly refusals: Readonly<Record<string, number>>
}

export interface MeasuredUpstreams {
  readonly targets: readonly MeasuredTarget[]
  readonly upstreams: readonly MeasuredUpstream[]
}

interface Sample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

interface Declaration {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Combines the values of several workers. */
  readonly aggregator: 'sum' | 'min' | 'max'
  readonly samples: (measured: MeasuredUpstreams) => readonly Sample[]
}

const PHASES = { closed: 0, halfOpen: 1, open: 2 } as const
const HEAD_SECONDS = 'wxgate_upstream_head_seconds'

const DECLARATIONS: readonly Declaration[] = [
  {
    name: 'wxgate_upstream_requests_total',
    help: 'Tries at targets by upstream, target and result',
    type: 'counter',
    aggregator: 'sum',
    samples: ({ targets }) =>
      targets.flatMap(({ upstream, target, tries }) =>
        [...tries].map(([result, value]) => ({ labels: { upstream, target, result }, value }))
      )
  },
  {
    name: HEAD_SECONDS,
    help: 'Time from a try to the head of its response, by upstream and target',
    type: 'histogram',
    aggregator: 'sum',
    samples: ({ targets }) => targets.flatMap(headSamples)
  },
  ofTargets('requests_in_flight', 'Requests and WebSockets under way', 'sum', ({ inFlight }) => inFlight),
  ofTargets('requests_waiting', 'Requests that wait for a target', 'sum', ({ waiting }) => waiting),
  {
    name: 'wxgate_upstream_connections',
    help: 'Open connections by upstream, target and state',
    type: 'gauge',
    aggregator: 'sum',
    samples: ({ targets }) =>
      targets.flatMap(({ upstream, target, busyConnections, idleConnections }) => [
        { labels: { upstream, target, state: 'busy' }, value: busyConnections },
        { labels: { upstream, target, state: 'idle' }, value: idleConnections }
      ])
  },
  ofTargets('target_healthy', '1 unless health checks failed', 'min', ({ isHealthy }) => Number(isHealthy)),
  ofTargets('target_ejected', '1 while the target is ejected', 'max', ({ isEjected }) => Number(isEjected)),
  {
    ...ofTargets('ejections_total', 'Ejections after failures in a row', 'sum', ({ ejections }) => ejections),
    type: 'counter'
  },
  ofTargets('breaker_state', 'Circuit breaker: 0 closed, 1 half open, 2 open', 'max', ({ breaker }) =>
    breaker === null ? PHASES.closed : PHASES[breaker]
  ),
  ofUpstreams('retries_total', 'Retries of requests, by upstream', ({ retries }) => retries),
  ofUpstreams('retries_refused_total', 'Retries that the budget refused, by upstream', (one) => one.retriesRefused),
  {
    name: 'wxgate_upstream_refused_total',
    help: 'Requests answered with 503 without a try, by upstream and reason',
    type: 'counter',
    aggregator: 'sum',
    samples: ({ upstreams }) =>
      upstreams.flatMap(({ upstream, refusals }) =>
        Object.entries(refusals).map(([reason, value]) => ({ labels: { upstream, reason }, value }))
      )
  }
]

/** A gauge of each target. */
function ofTargets(
  rest: string,
  help: string,
  aggregator: Declaration['aggregator'],
  read: (target: MeasuredTarget) => number
): Declaration {
  return {
    name: `wxgate_upstream_${rest}`,
    help: `${help}, by upstream and target`,
    type: 'gauge',
    aggregator,
    samples: ({ targets }) =>
      targets.map((one) => ({ labels: { upstream: one.upstream, target: one.target }, value: read(one) }))
  }
}

function ofUpstreams(rest: string, help: string, read: (upstream: MeasuredUpstream) => number): Declaration {
  return {
    name: `wxgate_upstream_${rest}`,
    help,
    type: 'counter',
    aggregator: 'sum',
    samples: ({ upstreams }) => upstreams.map((one) => ({ labels: { upstream: one.upstream }, value: read(one) }))
  }
}

function headSamples({ upstream, target, heads }: MeasuredTarget): Sample[] {
  const { bounds, counts, seconds } = heads
  let total = 0
  const buckets = counts.map((count, index) => {
    total += count
    return {
      metricName: `${HEAD_SECONDS}_bucket`,
      labels: { le: bounds[index] ?? '+Inf', upstream, target },
      value: total
    }
  })
  return [
    ...buckets,
    { metricName: `${HEAD_SECONDS}_sum`, labels: { upstream, target }, value: seconds },
    { metricName: `${HEAD_SECONDS}_count`, labels: { upstream, target }, value: total }
  ]
}

export function addUpstreamMetrics(registry: Registry, measure: () => MeasuredUpstreams): void {
  for (const { samples, ...declaration } of DECLARATIONS) {
    const get = async () => ({ ...declaration, values: samples(measure()) })
    // The shape that prom-client's registry reads.
    registry.registerMetric({ ...declaration, get, reset() {} } as unknown as Metric)
  }
}
