/** The upstreams of GET /v1/status: state, load and counts of every target. */
import { type Static, Type } from '../../schema.ts'
import type { MeasuredTarget, MeasuredUpstreams } from '../../telemetry/upstream-metrics.ts'
import { percentileOf } from './percentile.ts'
import { Count, closed, Flag, Milliseconds, orNull, Text, word } from './terms.ts'

/** The worst first. */
export const STATES = ['unhealthy', 'breaker_open', 'ejected', 'breaker_half_open', 'ok'] as const

export const Target = closed(
  {
    target: Type.String({ description: 'host:port, or the path of a socket.' }),
    state: word(STATES, 'The reason why it gets no or fewer requests, or `ok`.'),
    is_healthy: Type.Boolean({ description: 'True without health checks.' }),
    is_ejected: Flag,
    breaker: orNull(word(['closed', 'half_open', 'open'], 'State of the breaker.'), 'Null without a circuit breaker.'),
    in_flight: Type.Integer({ minimum: 0, description: 'Requests and WebSockets under way.' }),
    waiting: Type.Integer({ minimum: 0, description: 'Requests that wait for this target.' }),
    busy_connections: Count,
    idle_connections: Count,
    ejections: Count,
    tries: Type.Record(Type.String(), Count, { description: 'By outcome: `2xx`, `5xx`, `failed`, `abandoned`, ….' }),
    p50_ms: orNull(Milliseconds),
    p99_ms: orNull(Milliseconds, 'Time to the head of a response. Null without a response.')
  },
  'Counts are those since the start.'
)

export const Upstream = closed(
  {
    name: Text,
    state: word(['ok', 'degraded', 'away'], '`degraded`: not every target is used; `away`: none is.'),
    balance: orNull(Text, 'Null for an upstream of a former configuration that still has requests.'),
    retries: Count,
    retries_refused: Count,
    refusals: Type.Record(Type.String(), Count, { description: 'Requests refused without a try, by reason.' }),
    targets: Type.Array(Target)
  },
  'A group of targets.'
)

export type TargetStatus = Static<typeof Target>
export type UpstreamStatus = Static<typeof Upstream>

/** @param states As `members.states()` reports them.
 *  @param config Upstreams of the configuration in force. */
export function describeUpstreams(
  { targets, upstreams }: MeasuredUpstreams,
  states: Readonly<Record<string, string>>,
  config: readonly { readonly name: string; readonly balance: string }[]
): UpstreamStatus[] {
  return upstreams.map(({ upstream: name, retries, retriesRefused, refusals }) => {
    const state = states[name]
    return {
      name,
      state: state === 'degraded' || state === 'away' ? state : 'ok',
      balance: config.find((one) => one.name === name)?.balance ?? null,
      retries,
      retries_refused: retriesRefused,
      refusals: { ...refusals },
      targets: targets.filter(({ upstream }) => upstream === name).map(describeTarget)
    }
  })
}

export function stateOf({ isHealthy, isEjected, breaker }: MeasuredTarget): TargetStatus['state'] {
  if (!isHealthy) return 'unhealthy'
  if (breaker === 'open') return 'breaker_open'
  if (isEjected) return 'ejected'
  return breaker === 'halfOpen' ? 'breaker_half_open' : 'ok'
}

function describeTarget(measured: MeasuredTarget): TargetStatus {
  const { target, isHealthy, isEjected, breaker, heads } = measured
  const bounds = heads.bounds.map((seconds) => seconds * 1000)
  return {
    target,
    state: stateOf(measured),
    is_healthy: isHealthy,
    is_ejected: isEjected,
    breaker: breaker === 'halfOpen' ? 'half_open' : breaker,
    in_flight: measured.inFlight,
    waiting: measured.waiting,
    busy_connections: measured.busyConnections,
    idle_connections: measured.idleConnections,
    ejections: measured.ejections,
    tries: Object.fromEntries(measured.tries),
    p50_ms: percentileOf(bounds, heads.counts, 0.5),
    p99_ms: percentileOf(bounds, heads.counts, 0.99)
  }
}
