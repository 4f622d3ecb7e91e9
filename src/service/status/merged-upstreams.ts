/** The targets and upstreams of several processes as one. */
import type { MeasuredTarget, MeasuredUpstream, MeasuredUpstreams } from '../../telemetry/upstream-metrics.ts'

const BREAKERS = ['open', 'halfOpen', 'closed'] as const

/** Adds counts up. Of a state, the worst counts. */
export function mergeUpstreams(all: readonly MeasuredUpstreams[]): MeasuredUpstreams {
  return {
    targets: merge(
      all.flatMap(({ targets }) => targets),
      ({ upstream, target }) => `${upstream} ${target}`,
      addTarget
    ),
    upstreams: merge(
      all.flatMap(({ upstreams }) => upstreams),
      ({ upstream }) => upstream,
      addUpstream
    )
  }
}

function merge<T>(all: readonly T[], keyOf: (one: T) => string, add: (one: T, other: T) => T): T[] {
  const merged = new Map<string, T>()
  for (const one of all) {
    const before = merged.get(keyOf(one))
    merged.set(keyOf(one), before === undefined ? one : add(before, one))
  }
  return [...merged.values()]
}

function addTarget(one: MeasuredTarget, other: MeasuredTarget): MeasuredTarget {
  const tries = new Map(one.tries)
  for (const [outcome, count] of other.tries) tries.set(outcome, (tries.get(outcome) ?? 0) + count)
  return {
    upstream: one.upstream,
    target: one.target,
    isHealthy: one.isHealthy && other.isHealthy,
    isEjected: one.isEjected || other.isEjected,
    breaker: BREAKERS.find((state) => one.breaker === state || other.breaker === state) ?? null,
    inFlight: one.inFlight + other.inFlight,
    waiting: one.waiting + other.waiting,
    busyConnections: one.busyConnections + other.busyConnections,
    idleConnections: one.idleConnections + other.idleConnections,
    ejections: one.ejections + other.ejections,
    tries,
    heads: {
      bounds: one.heads.bounds,
      counts: one.heads.counts.map((count, index) => count + (other.heads.counts[index] ?? 0)),
      seconds: one.heads.seconds + other.heads.seconds
    }
  }
}

function addUpstream(one: MeasuredUpstream, other: MeasuredUpstream): MeasuredUpstream {
  const refusals: Record<string, number> = { ...one.refusals }
  for (const [reason, count] of Object.entries(other.refusals)) refusals[reason] = (refusals[reason] ?? 0) + count
  return {
    upstream: one.upstream,
    retries: one.retries + other.retries,
    retriesRefused: one.retriesRefused + other.retriesRefused,
    refusals
  }
}
