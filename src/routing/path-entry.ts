/** The routes that share one path, told apart by method. */
import type { RouteConfig } from '../config/config.ts'

export interface PathEntry<R> {
  /** The route that takes the method: the one that names it, else the one for all. */
  routeFor(method: string): R | undefined
  /** For `Allow`; only asked for where no route takes every method. */
  readonly allow: string
}

export function createPathEntry<R extends RouteConfig>(routes: readonly R[]): PathEntry<R> {
  const byMethod = new Map<string, R>()
  let forAll: R | undefined
  for (const route of routes) {
    if (route.methods === null) forAll = route
    for (const method of route.methods ?? []) byMethod.set(method, route)
  }
  // A route for GET takes HEAD, too (RFC 9110, section 9.3.2).
  const get = byMethod.get('GET')
  if (get && !byMethod.has('HEAD')) byMethod.set('HEAD', get)
  return {
    routeFor: (method) => byMethod.get(method) ?? forAll,
    allow: [...byMethod.keys()].join(', ')
  }
}
