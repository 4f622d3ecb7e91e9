/** The route table: the longest prefix on segment boundaries, then the method. */
import type { RouteConfig } from '../config/config.ts'
import {
  type CanonicalPath,
  NEEDS_DOUBLE_ENCODING,
  NEEDS_ENCODED_SLASH,
  NEEDS_MATRIX_PARAMS,
  NEEDS_RAW_PERCENT
} from '../http/path/canonical-path.ts'
import { decodedPaths, lenientReading, namesOf } from '../http/path/lenient-reading.ts'
import { withoutPrefix } from '../http/path/prefix.ts'
import { asksAtLeast, createLenientRoutes } from './lenient-routes.ts'
import { createPathEntry, type PathEntry } from './path-entry.ts'
import { createPrefixIndex, groupBy } from './prefix-index.ts'

export type Match<R = RouteConfig> =
  | { readonly kind: 'route'; readonly route: R }
  | { readonly kind: 'none' }
  /** A lenient server could read the path as one of a stricter route. Answered like `none`. */
  | { readonly kind: 'guarded'; readonly route: R }
  /** The path has routes, but none for the method. */
  | { readonly kind: 'method'; readonly allow: string }
  /** The path needs an allowance that its route does not give, or lenient servers could read it
   *  in several ways. */
  | { readonly kind: 'ambiguous'; readonly reason: string }

export interface RouteTable<R> {
  match(method: string, path: CanonicalPath): Match<R>
}

const NONE: Match<never> = { kind: 'none' }
/** Bounds the work for a path whose segments have to be decoded. */
const MAX_SEGMENTS = 100
const UNPLAIN: Match<never> = { kind: 'ambiguous', reason: 'The path could be read as another one' }

export function createRouteTable<R extends RouteConfig>(routes: readonly R[]): RouteTable<R> {
  const exact = createPrefixIndex<PathEntry<R>>(
    new Map([...groupBy(routes, ({ path }) => path)].map(([path, group]) => [path, createPathEntry(group)]))
  )
  const lenient = createLenientRoutes(routes)
  // Lenient readings matter only when routes differ in their requirements.
  const demands = routes.map((route) => {
    const { auth, apps, require, rateLimit, methods, openData, channel, bodyLimit } = route
    const { concurrency, ip, maintenance, cors } = route
    const access = [auth, apps, require, methods, ip, maintenance, cors]
    return JSON.stringify([access, rateLimit, concurrency, openData, channel, bodyLimit])
  })
  const isUniform = new Set(demands).size <= 1
  // When a route has capitals, a path in small letters can be another reading of it.
  const arePlain = routes.every(({ path }) => hasOneReading(path))

  function match(method: string, { path, needs }: CanonicalPath): Match<R> {
    if (needs !== 0) return matchLenient(method, path, needs)
    const found = pick(exact.find(path), method)
    if (isUniform || found.kind !== 'route' || (arePlain && hasOneReading(path))) return found
    return guard(method, path, found.route)
  }

  /** No server may read the path as one that a stricter route protects. */
  function guard(method: string, path: string, route: R): Match<R> {
    const readings = readingsOf(path, route)
    if (readings === null) return UNPLAIN
    const isSafe = readings.every((segments) =>
      lenient.routesFor(method, segments)?.every((other) => other === route || asksAtLeast(route, other))
    )
    return { kind: isSafe ? 'route' : 'guarded', route }
  }

  /** The path without its matrix parameters must lead to a route that allows what the path
   *  needs, and to the same route for every server that decodes it first, with and without the
   *  parameters. */
  function matchLenient(method: string, path: string, needs: number): Match<R> {
    const bare = path.replace(/(?:;|%3B)[^/]*/g, '')
    const entry = exact.find(bare)
    if (!entry) return ambiguous(needs)
    const found = pick(entry, method)
    if (found.kind !== 'route') return found
    const { route } = found
    if ((needs & ~allowances(route)) !== 0) return ambiguous(needs & ~allowances(route))
    // The upstream gets the rest of the path, which must start with a slash.
    if (!withoutPrefix(path, route.stripPrefix).startsWith('/')) return UNPLAIN
    for (const spelling of new Set([path, bare])) {
      if (lenientReading(spelling) === null) return UNPLAIN
      for (const reading of decodedPaths(spelling) ?? ['']) {
        // A server that decodes further meets these slashes in the next reading.
        const segments = namesOfAll(reading.replace(/%2F/gi, '-'))
        const others = segments && lenient.routesFor(method, segments)
        if (!others?.every((other) => other === route)) return UNPLAIN
      }
    }
    // For a server that decodes no slashes and knows no parameters, these are part of names.
    const asNames = path.replace(/;|%3B|%2F|%25|%3F|%23/g, '-')
    return guard(method, asNames, route).kind === 'route' ? found : UNPLAIN
  }

  return { match }
}

function pick<R extends RouteConfig>(entry: PathEntry<R> | undefined, method: string): Match<R> {
  if (entry === undefined) return NONE
  const route = entry.routeFor(method)
  return route ? { kind: 'route', route } : { kind: 'method', allow: entry.allow }
}

/** The path as lenient servers could read it; null when a segment could be a dot segment or
 *  hold a slash. Besides the path itself: its last segment without an extension (Rails, Spring
 *  before 5.3), where the route does not name that segment, and the path behind a PHP script
 *  (PATH_INFO). */
function readingsOf(path: string, route: RouteConfig): (readonly string[])[][] | null {
  const segments = namesOfAll(path)
  if (segments === null) return null
  const { suffix, scriptName } = route.allow
  const last = segments.findLastIndex(([name]) => name !== '')
  const isNamed = route.path !== '/' && last < route.path.split('/').length - 1
  const named = suffix || isNamed ? segments : segments.map((names, at) => (at === last ? withStems(names) : names))
  if (scriptName) return [named]
  return [named, ...named.flatMap((names, at) => (at < last && names.some(isScript) ? [named.slice(at + 1)] : []))]
}

const isScript = (name: string) => /\.(?:php\d?|phtml)$/i.test(name)

function withStems(names: readonly string[]): readonly string[] {
  const dotted = names.filter((name) => name.lastIndexOf('.') > 0)
  const stems = dotted.flatMap((name) => [name.slice(0, name.indexOf('.', 1)), name.slice(0, name.lastIndexOf('.'))])
  return [...new Set([...names, ...stems])]
}

/** Null when a segment could be a dot segment or hold a slash, and for more segments than any
 *  route needs. */
function namesOfAll(path: string): (readonly string[])[] | null {
  const written = path.slice(1).split('/')
  if (written.length > MAX_SEGMENTS) return null
  const segments: (readonly string[])[] = []
  for (const segment of written) {
    const names = segment === '' ? [''] : namesOf(segment)
    if (names === null) return null
    segments.push(names)
  }
  return segments
}

function allowances(route: RouteConfig): number {
  const { encodedSlash, matrixParams, doubleEncoding, rawPercent } = route.allow
  return (
    (rawPercent ? NEEDS_RAW_PERCENT : 0) |
    (encodedSlash ? NEEDS_ENCODED_SLASH : 0) |
    (matrixParams ? NEEDS_MATRIX_PARAMS : 0) |
    (doubleEncoding ? NEEDS_DOUBLE_ENCODING : 0)
  )
}

function ambiguous(needs: number): Match<never> {
  if (needs & NEEDS_ENCODED_SLASH) return { kind: 'ambiguous', reason: 'The path holds an encoded slash (%2F)' }
  if (needs & NEEDS_MATRIX_PARAMS) return { kind: 'ambiguous', reason: 'The path holds a ";"' }
  if (needs & NEEDS_RAW_PERCENT)
    return { kind: 'ambiguous', reason: 'The percent-encoded bytes of the path are not UTF-8' }
  return { kind: 'ambiguous', reason: 'The path holds a character that was encoded twice, or an encoded "?" or "#"' }
}

/** True when every lenient reading is the path itself: small letters, nothing encoded, no ".",
 *  no "+" and no "::". */
function hasOneReading(path: string): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index)
    if ((code >= 0x41 && code <= 0x5a) || code === 0x25 || code === 0x2b || code === 0x2e) return false
    if (code === 0x3a && (path.charCodeAt(index + 1) === 0x3a || path.charCodeAt(index + 1) === 0x24)) return false
  }
  return true
}
