/** The limits of the routes. */
import type { RouteConfig } from '../config/config.ts'
import { createRouteLoad, type RouteLoad } from '../routing/concurrency.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

/** The counts of routes with a limit go on over a reload, even one that changes the limit. */
export async function borrowLoads(routes: readonly RouteConfig[], { borrow }: Pick<Borrower, 'borrow'>) {
  const loads = new Map<string, RouteLoad>()
  for (const route of routes) {
    if (route.concurrency !== null)
      loads.set(nameOf(route), await borrow('route-load', [nameOf(route)], createRouteLoad))
  }
  return (route: RouteConfig): RouteLoad => loads.get(nameOf(route)) ?? createRouteLoad()
}

function nameOf({ path, methods }: RouteConfig): string {
  return `route:${path}${methods === null ? '' : `:${methods.join(',')}`}`
}

/** A request with a valid token is served without the store, so its limit is too. */
export function limiterOf(route: RouteConfig, { store, clock }: Pick<Shared, 'store' | 'clock'>) {
  const { rateLimit } = route
  return rateLimit && createRateLimiter({ store, clock, name: nameOf(route), isLenient: true, ...rateLimit })
}
