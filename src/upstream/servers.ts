/** The servers behind the targets: their state, health checks and breakers, shared by everything
 *  that reaches the same server, and kept while timeouts change. */
import type { Clock } from '../clock.ts'
import type { HealthCheckConfig, UpstreamConfig } from '../config/config.ts'
import { Breaker } from './breaker.ts'
import { createCounted } from './counted.ts'
import { HealthCheck } from './health-check.ts'
import { askHealth } from './health-request.ts'
import type { Target } from './target.ts'
import type { TargetEvents, TargetNames } from './target-events.ts'
import { TargetState } from './target-state.ts'

interface Server {
  readonly state: TargetState
  /** The newest is last. Health checks use its connections. */
  readonly targets: Target[]
  /** The newest verdict of a health check. */
  isHealthy: boolean
}

/** The parts of a server that one upstream uses. */
export interface ServerUse {
  readonly state: TargetState
  readonly check: HealthCheck | null
  readonly breaker: Breaker | null
  release(): void
}

export interface Servers {
  /** Each use needs its `release`. */
  use(target: Target, policy: Pick<UpstreamConfig, 'healthCheck' | 'circuitBreaker'>, names: TargetNames): ServerUse
  /** Starts health checks, of later servers too. */
  start(): void
}

export interface ServersDeps {
  readonly clock: Clock
  readonly events: TargetEvents
}

export function createServers(deps: ServersDeps): Servers {
  const servers = createCounted<Server>()
  const checks = createCounted<HealthCheck>()
  const breakers = createCounted<Breaker>()
  let isStarted = false

  return {
    use(target, { healthCheck, circuitBreaker }, names) {
      const key = keyOf(target)
      const checkKey = JSON.stringify([key, healthCheck])
      const breakerKey = JSON.stringify([key, circuitBreaker])
      const server = servers.acquire(key, () => ({ state: new TargetState(), targets: [], isHealthy: true }))
      server.targets.push(target)
      const check = healthCheck && checks.acquire(checkKey, () => createCheck(healthCheck, server, names, deps))
      if (isStarted) check?.start()
      const breaker =
        circuitBreaker && breakers.acquire(breakerKey, () => createBreaker(circuitBreaker, server, names, deps))
      return {
        state: server.state,
        check,
        breaker,
        release() {
          server.targets.splice(server.targets.indexOf(target), 1)
          if (check) checks.release(checkKey)?.stop()
          if (breaker) breakers.release(breakerKey)
          if (servers.release(key)) deps.events.forget(server.state)
        }
      }
    },
    start() {
      isStarted = true
      for (const check of checks.values()) check.start()
    }
  }
}

function keyOf({ config: { url, tls } }: Target): string {
  return JSON.stringify([url, tls.ca, tls.cert, tls.key, tls.serverName, tls.insecureSkipVerify])
}

function createCheck(
  config: HealthCheckConfig,
  server: Server,
  names: TargetNames,
  { clock, events }: ServersDeps
): HealthCheck {
  return new HealthCheck({
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
      events.healthChanged(names, isHealthy, result)
    }
  })
}

function createBreaker(
  policy: NonNullable<UpstreamConfig['circuitBreaker']>,
  { state }: Server,
  names: TargetNames,
  { clock, events }: ServersDeps
): Breaker {
  return new Breaker(policy, (phase) => {
    if (phase === 'open') {
      events.breakerOpened(names, policy.openFor)
      return
    }
    state.returned(clock.monotonic())
    events.breakerClosed(names)
  })
}
