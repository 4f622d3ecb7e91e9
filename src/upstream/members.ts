/** The members of all upstreams. Their state and counts live as long as a configuration refers to
 *  them and go on while configurations change. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import { createCounted } from './counted.ts'
import { Member } from './member.ts'
import { createServers } from './servers.ts'
import { type MemberGroup, type Snapshot, statesOf, takeSnapshot, type UpstreamGroup } from './snapshot.ts'
import type { Target } from './target.ts'
import { TargetEvents, type TargetLog } from './target-events.ts'
import { TargetStats } from './target-stats.ts'
import { UpstreamUsage } from './upstream-usage.ts'

export interface MembersDeps {
  readonly clock: Clock
  readonly log: TargetLog
}

export interface Members {
  /** Each call needs a `leave`. */
  join(upstream: UpstreamConfig, target: Target, weight: number): Member
  leave(member: Member): void
  /** Each call needs an `endUse`. */
  use(upstream: string): UpstreamUsage
  endUse(upstream: string): void
  ejected(upstream: string, member: Member, ms: number): void
  /** Starts health checks, of later members too. `wxgate explain` sends nothing. */
  start(): void
  snapshot(): Snapshot
  /** Upstreams by name: `ok`, `degraded` when not every target is used, `away` when none is. */
  states(): Record<string, string>
}

export function createMembers({ clock, log }: MembersDeps): Members {
  const events = new TargetEvents(clock, log)
  const servers = createServers({ clock, events })
  const groups = createCounted<MemberGroup>()
  const usages = createCounted<UpstreamGroup>()
  const leaves = new WeakMap<Member, () => void>()
  const snapshot = () => takeSnapshot(groups.values(), usages.values(), clock.monotonic())

  return {
    join(config, target, weight) {
      const names = { upstream: config.name, target: target.host }
      const groupKey = JSON.stringify(names)
      const { release, ...parts } = servers.use(target, config, names)
      const group = groups.acquire(groupKey, () => ({ ...names, stats: new TargetStats(), members: [] }))
      const member = new Member({ target, weight, ...parts, stats: group.stats })
      group.members.push(member)
      leaves.set(member, () => {
        group.members.splice(group.members.indexOf(member), 1)
        groups.release(groupKey)
        release()
      })
      return member
    },
    leave(member) {
      leaves.get(member)?.()
      leaves.delete(member)
    },
    use: (upstream) => usages.acquire(upstream, () => ({ upstream, usage: new UpstreamUsage() })).usage,
    endUse(upstream) {
      usages.release(upstream)
    },
    ejected(upstream, { target, state, stats }, ms) {
      stats.ejections++
      events.ejected({ upstream, target: target.host }, state, ms)
    },
    start: servers.start,
    snapshot,
    states: () => statesOf(snapshot())
  }
}
