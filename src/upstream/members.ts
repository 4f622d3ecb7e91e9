/** The members of all upstreams. Their state lives as long as a configuration refers to it and goes
 *  on while configurations change: upstreams share the state of a common target. */
import type { Clock, Timer } from '../clock.ts'
import type { HealthCheckConfig, UpstreamConfig } from '../config/config.ts'
import { Breaker } from './breaker.ts'
import { createCounted } from './counted.ts'
import { HealthCheck } from './health-check.ts'
import { askHealth } from './health-request.ts'
import { Member } from './member.ts'
import { type MemberGroup, type Snapshot, statesOf, takeSnapshot, type UpstreamGroup } from './snapshot.ts'
import type { Target } from './target.ts'
import { TargetState } from './target-state.ts'
import { TargetStats } from './target-stats.ts'
import { UpstreamUsage } from './upstream-usage.ts'

export interface MembersDeps {
  readonly clock: Clock
  readonly log: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
  }
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

/** A server, whatever the timeouts that its connections have. */
interface Known {
  readonly state: TargetState
  /** The newest is last. Health checks use its connections. */
  readonly targets: Target[]
  isHealthy: boolean
}

export function createMembers({ clock, log }: MembersDeps): Members {
  const known = createCounted<Known>()
  const checks = createCounted<HealthCheck>()
  const breakers = createCounted<Breaker>()
  const groups = createCounted<MemberGroup>()
  const usages = createCounted<UpstreamGroup>()
  const leaves = new WeakMap<Member, () => void>()
  const timers = new Map<TargetState, Timer>()
  let isStarted = false

  function createCheck(config: HealthCheckConfig, server: Known, names: object): HealthCheck {
    const check = new HealthCheck({
      config,
      clock,
      isHealthy: server.isHealthy,
      ask(done) {
        const target = server.targets.at(-1)
        if (target) askHealth({ target, config, clock, done })
      },
      onChange(isHealthy, result) {
        server.isHealthy = isHealthy
        if (isHealthy) server.state.returned(clock.monotonic())
        const fields = { event: isHealthy ? 'target_healthy' : 'target_unhealthy', ...names, result }
        if (isHealthy) log.info(fields, 'a target is healthy again')
        else log.warn(fields, 'a target is unhealthy: it gets no requests')
      }
    })
    if (isStarted) check.start()
    return check
  }

  function createBreaker(policy: NonNullable<UpstreamConfig['circuitBreaker']>, state: TargetState, names: object) {
    return new Breaker(policy, (phase) => {
      if (phase === 'open') {
        const fields = { event: 'breaker_open', ...names, ms: policy.openFor }
        log.warn(fields, 'the circuit breaker of a target is open: it gets no requests')
        return
      }
      state.returned(clock.monotonic())
      log.info({ event: 'breaker_closed', ...names }, 'the circuit breaker of a target is closed')
    })
  }

  const takeNow = () => takeSnapshot(groups.values(), usages.values(), clock.monotonic())

  return {
    join(config, target, weight) {
      const { name: upstream, circuitBreaker, healthCheck } = config
      const names = { upstream, target: target.host }
      const serverKey = keyOf(target)
      const groupKey = JSON.stringify([upstream, target.host])
      const checkKey = JSON.stringify([serverKey, healthCheck])
      const breakerKey = JSON.stringify([serverKey, circuitBreaker])
      const server = known.acquire(serverKey, () => ({ state: new TargetState(), targets: [], isHealthy: true }))
      server.targets.push(target)
      const { state } = server
      const group = groups.acquire(groupKey, () => ({ ...names, stats: new TargetStats(), members: [] }))
      const check = healthCheck && checks.acquire(checkKey, () => createCheck(healthCheck, server, names))
      const breaker = circuitBreaker && breakers.acquire(breakerKey, () => createBreaker(circuitBreaker, state, names))
      const member = new Member({ target, weight, state, breaker, check, stats: group.stats })
      group.members.push(member)
      leaves.set(member, () => {
        server.targets.splice(server.targets.indexOf(target), 1)
        group.members.splice(group.members.indexOf(member), 1)
        if (check) checks.release(checkKey)?.stop()
        if (breaker) breakers.release(breakerKey)
        groups.release(groupKey)
        if (known.release(serverKey) === null) return
        clock.clearTimeout(timers.get(state))
        timers.delete(state)
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
      const names = { upstream, target: target.host }
      stats.ejections++
      log.warn({ event: 'target_ejected', ...names, ms }, 'a target is ejected after failures in a row')
      const timer = clock.setTimeout(() => {
        timers.delete(state)
        log.info({ event: 'target_returned', ...names }, 'the ejection of a target is over')
      }, ms)
      timer.unref()
      timers.set(state, timer)
    },
    start() {
      isStarted = true
      for (const check of checks.values()) check.start()
    },
    snapshot: takeNow,
    states: () => statesOf(takeNow())
  }
}

function keyOf({ config: { url, tls } }: Target): string {
  return JSON.stringify([url, tls.ca, tls.cert, tls.key, tls.serverName, tls.insecureSkipVerify])
}
