/** The upstreams of one configuration: named groups of targets. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import { Lease } from './attempts.ts'
import { balanceBy } from './balance.ts'
import type { AttemptOptions, LeaseSource } from './lease-source.ts'
import type { Members } from './members.ts'
import type { Pools } from './pools.ts'
import { Selection } from './selection.ts'
import type { Target } from './target.ts'

export interface Upstream {
  readonly config: UpstreamConfig
  readonly targets: readonly Target[]
  /** Starts the tries of one request. */
  attempts(options: AttemptOptions): Lease
}

export interface Upstreams {
  /** Throws for a name that is not configured. */
  get(name: string): Upstream
  /** Releases the targets. Running requests end first. */
  release(): void
}

export interface UpstreamsDeps {
  readonly pools: Pick<Pools, 'acquire' | 'release'>
  readonly members: Pick<Members, 'join' | 'leave' | 'use' | 'endUse' | 'ejected'>
  readonly clock: Clock
}

interface OpenUpstream extends Upstream {
  release(): void
}

export function createUpstreams(configs: readonly UpstreamConfig[], deps: UpstreamsDeps): Upstreams {
  const byName = new Map(configs.map((config) => [config.name, openUpstream(config, deps)]))
  return {
    get(name) {
      const upstream = byName.get(name)
      if (!upstream) throw new Error(`no upstream is called ${name}`)
      return upstream
    },
    release() {
      for (const upstream of byName.values()) upstream.release()
      byName.clear()
    }
  }
}

function openUpstream(config: UpstreamConfig, { pools, members: registry, clock }: UpstreamsDeps): OpenUpstream {
  const { name, timeouts, connections, outliers, retries, tls, circuitBreaker } = config
  const { idle, maxAge } = connections
  const members = config.targets.map(({ url, weight }) => {
    const target = pools.acquire({ url, connectTimeoutMs: timeouts.connect, idleMs: idle, maxAgeMs: maxAge, tls })
    return registry.join(config, target, weight)
  })
  const source: LeaseSource = {
    selection: new Selection({
      members,
      balance: balanceBy(config.balance),
      maxInFlight: connections.max,
      slowStartMs: config.slowStart,
      maxEjected: outliers.maxEjected
    }),
    usage: registry.use(name),
    connections,
    outliers,
    retries,
    limits: circuitBreaker ?? UNLIMITED,
    clock,
    onEjected: (member, ms) => registry.ejected(name, member, ms)
  }
  return {
    config,
    targets: members.map(({ target }) => target),
    attempts: (options) => new Lease(source, options),
    release() {
      registry.endUse(name)
      for (const member of members) {
        registry.leave(member)
        pools.release(member.target)
      }
    }
  }
}

const UNLIMITED = { maxInFlight: Number.POSITIVE_INFINITY, maxPending: Number.POSITIVE_INFINITY }
