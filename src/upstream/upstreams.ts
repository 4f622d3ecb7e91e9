/** The upstreams of one configuration: named groups of targets. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import { type AttemptOptions, Lease } from './attempts.ts'
import { balanceBy } from './balance.ts'
import type { Pools } from './pools.ts'
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
  readonly clock: Clock
}

export function createUpstreams(configs: readonly UpstreamConfig[], deps: UpstreamsDeps): Upstreams {
  const byName = new Map(configs.map((config) => [config.name, createUpstream(config, deps)]))
  return {
    get(name) {
      const upstream = byName.get(name)
      if (!upstream) throw new Error(`no upstream is called ${name}`)
      return upstream
    },
    release() {
      for (const { targets } of byName.values()) for (const target of targets) deps.pools.release(target)
      byName.clear()
    }
  }
}

function createUpstream(config: UpstreamConfig, { pools, clock }: UpstreamsDeps): Upstream {
  const { targets, balance, connections, timeouts, retries, tls } = config
  const members = targets.map(({ url, weight }) => ({
    target: pools.acquire({ url, connectTimeoutMs: timeouts.connect, tls }),
    weight
  }))
  const source = { members, balance: balanceBy(balance), connections, retries, clock }
  return {
    config,
    targets: members.map(({ target }) => target),
    attempts: (options) => new Lease(source, options)
  }
}
