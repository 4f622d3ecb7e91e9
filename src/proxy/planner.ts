/** Prepares everything that serving a route needs, once per configuration. */
import type { RouteConfig } from '../config/config.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import { createConcurrencyLimit, type RouteLoad } from '../routing/concurrency.ts'
import { createCors } from '../routing/cors.ts'
import { createGate } from '../routing/gate.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import { createUserPlaces, createVariantChoice } from '../routing/variants.ts'
import type { Upstream } from '../upstream/upstreams.ts'
import type { PlannedRoute, VariantFor } from './plan.ts'
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
  const placeOf = createUserPlaces()

  function bodiesOf(route: RouteConfig): BodyTransform | null {
    if (route.channel) return channelTransform
    return route.openData ? openDataTransform : null
  }

  /** The parts of a plan that depend on the upstream. */
  function toUpstream({ requestHeaders, timeout }: RouteConfig, name: string) {
    const upstream = deps.upstreamOf(name)
    const { host, timeouts } = upstream.config
    return {
      upstream,
      host: host === 'target' ? null : host,
      edits: createRequestEdits(requestHeaders, upstream.config),
      responseTimeoutMs: timeout ?? timeouts.response
    }
  }

  /** A variant is the route itself with another upstream: it shares limits and counts. */
  function variantsOf(route: PlannedRoute): VariantFor | null {
    if (route.variants.length === 0) return null
    const choose = createVariantChoice(route.variants, placeOf)
    const routes = route.variants.map(({ upstream }): PlannedRoute => {
      return { ...route, upstream, plan: { ...route.plan, ...toUpstream(route, upstream) } }
    })
    return (kept, principal) => routes[choose(kept, principal)] ?? null
  }

  return (route) => {
    const { concurrency, cors } = route
    const plan = {
      ...toUpstream(route, route.upstream),
      gate: createGate(route),
      cors: cors === null ? null : createCors(cors),
      variantFor: null,
      limiter: deps.limiterOf(route),
      concurrency: concurrency === null ? null : createConcurrencyLimit(concurrency, deps.loadOf(route)),
      bodyLimits: { limit: route.bodyLimit, idle: deps.bodyIdleTimeout },
      bodies: bodiesOf(route),
      identities: new WeakMap()
    }
    return { ...route, plan: { ...plan, variantFor: variantsOf({ ...route, plan }) } }
  }
}
