/** The routes that share one path, told apart by method. */
import type { RouteConfig } from '../config/config.ts'

export interface PathEntry<R> {
  /** The route that names the method, else the one for all methods. */
  routeFor(method: string): R | undefined
  /** For `Allow`; read only when no route takes every method. */
  readonly allow: string
}

export function createPathEntry<R extends RouteConfig>(routes: readonly R[]): PathEntry<R> {
  const byMethod = new Map<string, R>()
  let forAll: R | undefined
  for (const route of routes) {
    if (route.methods === null) forAll = route
    for (const method of route.methods ?? []) byMethod.set(method, route)
  }
  // A route for GET also takes HEAD (RFC 9110, section 9.3.2).
  const get = byMethod.get('GET')
  if (get && !byMethod.has('HEAD')) byMethod.set('HEAD', get)
  return {
    routeFor: (method) => byMethod.get(method) ?? forAll,
    allow: [...byMethod.keys()].join(', ')
  }
}
