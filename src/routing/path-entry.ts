/** The routes that share one path, told apart by method. */
import type { RouteConfig } from '../config/config.ts'

export interface PathEntry {
  /** The route that takes the method: the one that names it, else the one for all. */
  routeFor(method: string): RouteConfig | undefined
  /** For `Allow`; only asked for where no route takes every method. */
  readonly allow: string
}

export function createPathEntry(routes: readonly RouteConfig[]): PathEntry {
  const byMethod = new Map<string, RouteConfig>()
  let forAll: RouteConfig | undefined
  for (const route of routes) {
    if (route.methods === null) forAll = route
    for (const method of route.methods ?? []) byMethod.set(method, route)
  }
  // What may be read may be asked about (RFC 9110, section 9.3.2).
  const get = byMethod.get('GET')
  if (get && !byMethod.has('HEAD')) byMethod.set('HEAD', get)
  return {
    routeFor: (method) => byMethod.get(method) ?? forAll,
    allow: [...byMethod.keys()].join(', ')
  }
}
