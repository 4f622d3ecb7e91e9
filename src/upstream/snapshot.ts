/** The state and the counts of all targets and upstreams at one moment, in plain values. */
import type { MeasuredTarget, MeasuredUpstreams } from '../telemetry/upstream-metrics.ts'
import type { Member } from './member.ts'
import { HEAD_BOUNDS, OUTCOMES, type TargetStats } from './target-stats.ts'
import type { UpstreamUsage } from './upstream-usage.ts'

/** The members of one upstream that show the same target to log and metrics. */
export interface MemberGroup {
  readonly upstream: string
  /** host:port, or the path of a socket. */
  readonly target: string
  readonly stats: TargetStats
  /** One of each configuration that is in use, the newest last. */
  readonly members: Member[]
}

export interface UpstreamGroup {
  readonly upstream: string
  readonly usage: UpstreamUsage
}

export type Snapshot = MeasuredUpstreams

/** @param now Monotonic milliseconds. */
export function takeSnapshot(
  groups: readonly MemberGroup[],
  upstreams: readonly UpstreamGroup[],
  now: number
): Snapshot {
  return {
    targets: groups.flatMap((group) => snapshotOf(group, now)),
    upstreams: upstreams.map(({ upstream, usage: { retries, retriesRefused, refusals } }) => {
      return { upstream, retries, retriesRefused, refusals: { ...refusals } }
    })
  }
}

function snapshotOf({ upstream, target, stats, members }: MemberGroup, now: number): MeasuredTarget[] {
  const newest = members.at(-1)
  if (newest === undefined) return []
  // While a reload is in progress, a target may have connections of two configurations.
  const targets = [...new Set(members.map((member) => member.target))]
  return [
    {
      upstream,
      target,
      isHealthy: newest.check?.isHealthy ?? true,
      isEjected: newest.state.isEjected(now),
      breaker: newest.breaker?.phase(now) ?? null,
      inFlight: targets.reduce((sum, { inFlight }) => sum + inFlight, 0),
      waiting: targets.reduce((sum, { queue }) => sum + queue.length, 0),
      busyConnections: targets.reduce((sum, { pool }) => sum + pool.open - pool.idle, 0),
      idleConnections: targets.reduce((sum, { pool }) => sum + pool.idle, 0),
      ejections: stats.ejections,
      tries: new Map(OUTCOMES.map((outcome, index) => [outcome, stats.tries[index] ?? 0])),
      heads: { bounds: HEAD_BOUNDS, counts: [...stats.heads], seconds: stats.headSeconds }
    }
  ]
}

/** States of upstreams by name, for `/readyz?verbose`. */
export function statesOf({ targets, upstreams }: Snapshot): Record<string, string> {
  const states = upstreams.map(({ upstream }) => {
    const own = targets.filter((target) => target.upstream === upstream)
    const usable = own.filter(({ isHealthy, breaker }) => isHealthy && breaker !== 'open')
    const isWell = usable.length === own.length && usable.every(({ isEjected }) => !isEjected)
    return [upstream, isWell ? 'ok' : usable.length > 0 ? 'degraded' : 'away'] as const
  })
  return Object.fromEntries(states)
}
