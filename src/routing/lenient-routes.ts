/** The routes as lenient servers behind the gateway could match them. */
import type { RouteConfig } from '../config/config.ts'
import { foldCase } from '../http/path/lenient-reading.ts'
import { createPathEntry, type PathEntry } from './path-entry.ts'
import { groupBy } from './prefix-index.ts'

export interface LenientRoutes<R> {
  /** The routes of all paths that a server could read, with and without regard to letter case.
   *  Null when one of those paths has no route for the method.
   *  @param segments Every name that each segment could have. */
  routesFor(method: string, segments: readonly (readonly string[])[]): R[] | null
}

/** The routes of one path. */
interface Place<R> {
  readonly names: readonly string[]
  /** Its upstream distinguishes upper and lower case. */
  readonly isCaseSensitive: boolean
  readonly entry: PathEntry<R>
}

interface Node<R> {
  readonly children: Map<string, Node<R>>
  readonly places: Place<R>[]
}

export function createLenientRoutes<R extends RouteConfig>(routes: readonly R[]): LenientRoutes<R> {
  const root = createNode<R>()
  for (const [path, group] of groupBy(routes, (route) => route.path)) {
    const names = path === '/' ? [] : path.slice(1).split('/').map(decodeURIComponent)
    let node = root
    for (const name of names) node = childOf(node, foldCase(name))
    const isCaseSensitive = group.every((route) => route.caseSensitive)
    node.places.push({ names, isCaseSensitive, entry: createPathEntry(group) })
  }

  return {
    routesFor(method, segments) {
      let found: Place<R>[] = []
      let nodes = [root]
      for (let depth = 0; nodes.length > 0; depth++) {
        for (const node of nodes) {
          for (const place of node.places) {
            if (place.isCaseSensitive && !couldBe(place.names, segments)) continue
            // Every server reads these segments alike: shorter paths no longer count.
            if (mustBe(place.names, segments)) found = found.filter(({ names }) => names.length === depth)
            found.push(place)
          }
        }
        const names = segments[depth]
        if (names === undefined) break
        nodes = [...new Set(nodes.flatMap((node) => names.flatMap((name) => node.children.get(foldCase(name)) ?? [])))]
      }
      const takers = found.map(({ entry }) => entry.routeFor(method))
      return takers.every((taker) => taker !== undefined) ? takers : null
    }
  }
}

function createNode<R>(): Node<R> {
  return { children: new Map(), places: [] }
}

function childOf<R>(node: Node<R>, name: string): Node<R> {
  const known = node.children.get(name)
  if (known) return known
  const child = createNode<R>()
  node.children.set(name, child)
  return child
}

function couldBe(names: readonly string[], segments: readonly (readonly string[])[]): boolean {
  return names.every((name, index) => segments[index]?.includes(name))
}

function mustBe(names: readonly string[], segments: readonly (readonly string[])[]): boolean {
  return names.every((name, index) => segments[index]?.length === 1 && segments[index]?.[0] === name)
}

const AUTH_RANK = { public: 0, optional: 1, required: 2 }

/** True when a client that may use `route` may also use `other`, as often and with bodies as
 *  large, from as many addresses and origins, and both treat bodies alike. */
export function asksAtLeast(route: RouteConfig, other: RouteConfig): boolean {
  if (AUTH_RANK[route.auth] < AUTH_RANK[other.auth]) return false
  const { apps, rateLimit } = other
  if ((other.openData && !route.openData) || (other.channel && !route.channel)) return false
  if (route.bodyLimit > other.bodyLimit) return false
  if (other.concurrency !== null && (route.concurrency ?? Number.POSITIVE_INFINITY) > other.concurrency) return false
  if (!isSetAlike(route, other)) return false
  if (apps !== null && !route.apps?.every((app) => apps.includes(app))) return false
  if (rateLimit !== null && (route.rateLimit === null || perSecond(route.rateLimit) > perSecond(rateLimit)))
    return false
  return Object.entries(other.require).every(
    ([claim, values]) =>
      Object.hasOwn(route.require, claim) && route.require[claim]?.every((value) => values.includes(value))
  )
}

/** These lists are compared as a whole: only equal ones are surely as strict. */
function isSetAlike(route: RouteConfig, other: RouteConfig): boolean {
  return (['ip', 'maintenance', 'cors'] as const).every(
    (key) => other[key] === null || JSON.stringify(route[key]) === JSON.stringify(other[key])
  )
}

function perSecond({ max, window }: NonNullable<RouteConfig['rateLimit']>): number {
  return (max * 1000) / window
}
