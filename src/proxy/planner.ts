/** Prepares everything that serving a route needs, once per configuration. */
import type { RouteConfig } from '../config/config.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import { createConcurrencyLimit, type RouteLoad } from '../routing/concurrency.ts'
import { createGate } from '../routing/gate.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import type { Upstream } from '../upstream/upstreams.ts'
import type { PlannedRoute } from './plan.ts'
import { createRequestEdits } from './request-edits.ts'
import { type ChannelDeps, createChannelTransform } from './transforms/channel.ts'
import { createOpenDataTransform } from './transforms/open-data.ts'
import type { BodyTransform } from './transforms/transform.ts'

export interface PlannerDeps extends ChannelDeps {
  readonly upstreamOf: (name: string) => Upstream
  /** Null for a route without a limit. */
  readonly limiterOf: (route: RouteConfig) => RateLimiter | null
  /** The count of a route with `concurrency`. */
  readonly loadOf: (route: RouteConfig) => RouteLoad
  /** Milliseconds that a request body may pause. */
  readonly bodyIdleTimeout: number
  readonly openData: Pick<OpenDataReader, 'decrypt'>
}

export function createPlanner(deps: PlannerDeps): (route: RouteConfig) => PlannedRoute {
  const openDataTransform = createOpenDataTransform(deps.openData)
  const channelTransform = createChannelTransform(deps)

  function bodiesOf(route: RouteConfig): BodyTransform | null {
    if (route.channel) return channelTransform
    return route.openData ? openDataTransform : null
  }

  return (route) => {
    const upstream = deps.upstreamOf(route.upstream)
    const { host, timeouts } = upstream.config
    return {
      ...route,
      plan: {
        upstream,
        host: host === 'target' ? null : host,
        edits: createRequestEdits(route.requestHeaders, upstream.config),
        responseTimeoutMs: route.timeout ?? timeouts.response,
        bodyLimits: { limit: route.bodyLimit, idle: deps.bodyIdleTimeout },
        gate: createGate(route),
        limiter: deps.limiterOf(route),
        concurrency: route.concurrency === null ? null : createConcurrencyLimit(route.concurrency, deps.loadOf(route)),
        bodies: bodiesOf(route),
        identities: new WeakMap()
      }
    }
  }
}
