/** The routes as the most lenient server behind the gateway could tell them apart. */
import type { RouteConfig } from '../config/config.ts'
import { foldCase, lenientReading } from './lenient-reading.ts'
import { createPathEntry, type PathEntry } from './path-entry.ts'
import { createPrefixIndex, groupBy } from './prefix-index.ts'

export interface LenientRoutes {
  /** Whether every route of the lenient reading is open to whoever may use `route`, for this method.
   *  @param reading See lenientReading. */
  areOpenTo(route: RouteConfig, method: string, reading: string): boolean
  /** Whether the lenient reading leads to this route and no other. */
  leadTo(route: RouteConfig, method: string, reading: string): boolean
}

/** Paths that are one and the same in this reading. */
interface Entry {
  /** In segments. */
  readonly depth: number
  readonly paths: readonly PathEntry[]
}

export function createLenientRoutes(routes: readonly RouteConfig[]): LenientRoutes {
  // For an upstream that tells upper from lower case, a path in other letters is another path.
  const exactCase = indexBy(
    routes.filter((route) => route.caseSensitive),
    (text) => text
  )
  const anyCase = indexBy(
    routes.filter((route) => !route.caseSensitive),
    foldCase
  )

  /** Null for a path whose routes do not take the method: nobody may use those. */
  function routesFor(method: string, reading: string): RouteConfig[] | null {
    const one = exactCase.find(reading)
    const other = anyCase.find(foldCase(reading))
    const depth = Math.max(one?.depth ?? -1, other?.depth ?? -1)
    const found: RouteConfig[] = []
    for (const entry of [one, other]) {
      if (entry?.depth !== depth) continue
      const takers = entry.paths.flatMap((path) => path.routeFor(method) ?? [])
      if (takers.length === 0) return null
      found.push(...takers)
    }
    return found
  }

  return {
    areOpenTo(route, method, reading) {
      const others = routesFor(method, reading)
      return others?.every((other) => other === route || asksAtLeast(route, other)) ?? false
    },
    leadTo(route, method, reading) {
      const others = routesFor(method, reading)
      return others !== null && others.length > 0 && others.every((other) => other === route)
    }
  }
}

function indexBy(routes: readonly RouteConfig[], fold: (text: string) => string) {
  const groups = groupBy(routes, (route) => fold(lenientReading(route.path) ?? route.path))
  const entries = [...groups].map(([reading, group]): [string, Entry] => {
    const paths = [...groupBy(group, (route) => route.path).values()].map(createPathEntry)
    return [reading, { depth: reading === '/' ? 0 : reading.split('/').length, paths }]
  })
  return createPrefixIndex(new Map(entries))
}

const AUTH_RANK = { public: 0, optional: 1, required: 2 }

/** Whether whoever may use `route` may use `other` too, and as often. */
export function asksAtLeast(route: RouteConfig, other: RouteConfig): boolean {
  if (AUTH_RANK[route.auth] < AUTH_RANK[other.auth]) return false
  const { apps, rateLimit } = other
  if (apps !== null && !route.apps?.every((app) => apps.includes(app))) return false
  if (rateLimit !== null && (route.rateLimit === null || perSecond(route.rateLimit) > perSecond(rateLimit)))
    return false
  return Object.entries(other.require).every(
    ([claim, values]) =>
      Object.hasOwn(route.require, claim) && route.require[claim]?.every((value) => values.includes(value))
  )
}

function perSecond({ max, window }: NonNullable<RouteConfig['rateLimit']>): number {
  return (max * 1000) / window
}
