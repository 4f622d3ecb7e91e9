/** Which route a request takes: the longest prefix on segment boundaries, then the method. */
import type { RouteConfig } from '../config/config.ts'
import {
  type CanonicalPath,
  NEEDS_DOUBLE_ENCODING,
  NEEDS_ENCODED_SLASH,
  NEEDS_MATRIX_PARAMS
} from '../http/path/canonical-path.ts'
import { decodedPaths, lenientReading, namesOf } from '../http/path/lenient-reading.ts'
import { asksAtLeast, createLenientRoutes } from './lenient-routes.ts'
import { createPathEntry, type PathEntry } from './path-entry.ts'
import { createPrefixIndex, groupBy } from './prefix-index.ts'

export type Match<R = RouteConfig> =
  | { readonly kind: 'route'; readonly route: R }
  | { readonly kind: 'none' }
  /** A lenient server could take the path to a route that asks for more: answered like `none`. */
  | { readonly kind: 'guarded'; readonly route: R }
  /** Routes for this path exist, none for the method. */
  | { readonly kind: 'method'; readonly allow: string }
  /** The path needs an allowance that its route does not give, or a lenient server could read it in several ways. */
  | { readonly kind: 'ambiguous'; readonly reason: string }

export interface RouteTable<R> {
  match(method: string, path: CanonicalPath): Match<R>
}

const NONE: Match<never> = { kind: 'none' }
const UNPLAIN: Match<never> = { kind: 'ambiguous', reason: 'The path could be read as another one' }

export function createRouteTable<R extends RouteConfig>(routes: readonly R[]): RouteTable<R> {
  const exact = createPrefixIndex<PathEntry<R>>(
    new Map([...groupBy(routes, ({ path }) => path)].map(([path, group]) => [path, createPathEntry(group)]))
  )
  const lenient = createLenientRoutes(routes)
  // Only where routes ask for different things can a lenient reading gain anything.
  const demands = routes.map(({ auth, apps, require, rateLimit, methods }) =>
    JSON.stringify([auth, apps, require, rateLimit, methods])
  )
  const isUniform = new Set(demands).size <= 1
  // A path in small letters can be another's reading where a route has capitals.
  const arePlain = routes.every(({ path }) => hasOneReading(path))

  function match(method: string, { path, needs }: CanonicalPath): Match<R> {
    if (needs !== 0) return matchLenient(method, path, needs)
    const found = pick(exact.find(path), method)
    if (isUniform || found.kind !== 'route' || (arePlain && hasOneReading(path))) return found
    return guard(method, path, found.route)
  }

  /** A server that ignores case, say, must not read the path as one that a stricter route protects. */
  function guard(method: string, path: string, route: R): Match<R> {
    const segments = namesOfAll(path)
    if (segments === null) return UNPLAIN
    const others = lenient.routesFor(method, segments)
    return others?.every((other) => other === route || asksAtLeast(route, other))
      ? { kind: 'route', route }
      : { kind: 'guarded', route }
  }

  /** The path as written without its matrix parameters must lead to a route that allows what it needs, and so must it for
   *  whoever decodes it first, with and without the parameters. */
  function matchLenient(method: string, path: string, needs: number): Match<R> {
    const bare = path.replace(/(?:;|%3B)[^/]*/g, '')
    const entry = exact.find(bare)
    if (!entry) return ambiguous(needs)
    const found = pick(entry, method)
    if (found.kind !== 'route') return found
    const { route } = found
    if ((needs & ~allowances(route)) !== 0) return ambiguous(needs)
    for (const spelling of new Set([path, bare])) {
      if (lenientReading(spelling) === null) return UNPLAIN
      for (const reading of decodedPaths(spelling) ?? ['']) {
        // Whoever decodes further meets these slashes in the next reading.
        const segments = namesOfAll(reading.replace(/%2F/gi, '-'))
        const others = segments && lenient.routesFor(method, segments)
        if (!others?.every((other) => other === route)) return UNPLAIN
      }
    }
    // To a server that decodes no slashes, or knows no parameters, these are names like any other.
    const asNames = path.replace(/;|%3B|%2F|%25|%3F|%23/g, '-')
    const segments = namesOfAll(asNames)
    const others = segments && lenient.routesFor(method, segments)
    if (!others?.every((other) => other === route || asksAtLeast(route, other))) return UNPLAIN
    return found
  }

  return { match }
}

function pick<R extends RouteConfig>(entry: PathEntry<R> | undefined, method: string): Match<R> {
  if (entry === undefined) return NONE
  const route = entry.routeFor(method)
  return route ? { kind: 'route', route } : { kind: 'method', allow: entry.allow }
}

/** Null when a segment could be a step, or something that holds a slash. */
function namesOfAll(path: string): (readonly string[])[] | null {
  const segments: (readonly string[])[] = []
  for (const written of path.slice(1).split('/')) {
    const names = written === '' ? [''] : namesOf(written)
    if (names === null) return null
    segments.push(names)
  }
  return segments
}

function allowances(route: RouteConfig): number {
  const { encodedSlash, matrixParams, doubleEncoding } = route.allow
  return (
    (encodedSlash ? NEEDS_ENCODED_SLASH : 0) |
    (matrixParams ? NEEDS_MATRIX_PARAMS : 0) |
    (doubleEncoding ? NEEDS_DOUBLE_ENCODING : 0)
  )
}

function ambiguous(needs: number): Match<never> {
  if (needs & NEEDS_ENCODED_SLASH) return { kind: 'ambiguous', reason: 'The path holds an encoded slash (%2F)' }
  if (needs & NEEDS_MATRIX_PARAMS) return { kind: 'ambiguous', reason: 'The path holds a ";"' }
  return { kind: 'ambiguous', reason: 'The path holds a character that was encoded twice, or an encoded "?" or "#"' }
}

/** Whether the lenient reading is sure to be the path itself: small letters, nothing encoded, no "+" and no "::". */
function hasOneReading(path: string): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index)
    if ((code >= 0x41 && code <= 0x5a) || code === 0x25 || code === 0x2b) return false
    if (code === 0x3a && (path.charCodeAt(index + 1) === 0x3a || path.charCodeAt(index + 1) === 0x24)) return false
  }
  return true
}
