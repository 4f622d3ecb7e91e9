/** Which route a request takes: the longest prefix on segment boundaries, then the method. */
import type { RouteConfig } from '../config/config.ts'
import {
  type CanonicalPath,
  foldedPath,
  NEEDS_DOUBLE_ENCODING,
  NEEDS_ENCODED_SLASH,
  NEEDS_MATRIX_PARAMS
} from './canonical-path.ts'

export type Match =
  | { readonly kind: 'route'; readonly route: RouteConfig }
  | { readonly kind: 'none' }
  /** Routes for this path exist, none for the method. */
  | { readonly kind: 'method'; readonly allow: string }
  /** The path needs an allowance that its route does not give, or a lenient server would take it to another route. */
  | { readonly kind: 'ambiguous'; readonly reason: string }

interface PathEntry {
  readonly path: string
  /** Null key: every method. */
  readonly byMethod: Map<string | null, Match & { kind: 'route' }>
  readonly allow: string
}

export interface RouteTable {
  match(method: string, path: CanonicalPath): Match
  readonly routes: readonly RouteConfig[]
}

const NONE: Match = { kind: 'none' }
const UNPLAIN: Match = { kind: 'ambiguous', reason: 'The path could be read as another one' }

export function createRouteTable(routes: readonly RouteConfig[]): RouteTable {
  const exact = indexByPath(routes, (route) => route.path)
  // Only where routes ask for different things can a lenient reading gain anything.
  const isUniform = new Set(routes.map((route) => JSON.stringify([route.auth, route.apps, route.require]))).size <= 1
  const folded = indexByPath(routes, (route) => (route.caseSensitive ? route.path : route.path.toLowerCase()))

  function match(method: string, { path, needs }: CanonicalPath): Match {
    if (needs !== 0) return matchLenient(method, path, needs)
    const entry = exact.find(path)
    const found = entry ? pick(entry, method) : NONE
    if (isUniform || isFolded(path)) return found
    return guard(method, path, found)
  }

  /** A server that ignores case must not read the path as one that a stricter route protects. */
  function guard(method: string, path: string, found: Match): Match {
    const reading = foldedPath(path)
    if (reading === null) return UNPLAIN
    const entry = folded.find(reading)
    if (!entry) return found
    const other = pick(entry, method)
    if (other.kind !== 'route' || found.kind !== 'route' || other.route === found.route) return found
    return asksAtLeast(found.route, other.route) ? found : NONE
  }

  /** The path as written without its matrix parameters, and as the most lenient server reads it, must lead to one and the
   *  same route, and that route must allow what the path needs. */
  function matchLenient(method: string, path: string, needs: number): Match {
    const reading = foldedPath(path)
    if (reading === null) return UNPLAIN
    const plainEntry = exact.find(path.replace(/(?:;|%3B)[^/]*/g, ''))
    const foldedEntry = folded.find(reading)
    if (!plainEntry || !foldedEntry) return plainEntry || foldedEntry ? UNPLAIN : ambiguous(needs)
    const plain = pick(plainEntry, method)
    const lenient = pick(foldedEntry, method)
    if (plain.kind !== 'route' || lenient.kind !== 'route') return plain
    if (plain.route !== lenient.route) return UNPLAIN
    return (needs & ~allowances(plain.route)) === 0 ? plain : ambiguous(needs)
  }

  return { match, routes }
}

function pick(entry: PathEntry, method: string): Match {
  return entry.byMethod.get(method) ?? entry.byMethod.get(null) ?? { kind: 'method', allow: entry.allow }
}

const AUTH_RANK = { public: 0, optional: 1, required: 2 }

/** Whether whoever may use `route` may use `other` too. */
function asksAtLeast(route: RouteConfig, other: RouteConfig): boolean {
  if (AUTH_RANK[route.auth] < AUTH_RANK[other.auth]) return false
  const { apps } = other
  if (apps !== null && !route.apps?.every((app) => apps.includes(app))) return false
  return Object.entries(other.require).every(([claim, values]) =>
    route.require[claim]?.every((value) => values.includes(value))
  )
}

function allowances(route: RouteConfig): number {
  const { encodedSlash, matrixParams, doubleEncoding } = route.allow
  return (
    (encodedSlash ? NEEDS_ENCODED_SLASH : 0) |
    (matrixParams ? NEEDS_MATRIX_PARAMS : 0) |
    (doubleEncoding ? NEEDS_DOUBLE_ENCODING : 0)
  )
}

function ambiguous(needs: number): Match {
  if (needs & NEEDS_ENCODED_SLASH) return { kind: 'ambiguous', reason: 'The path holds an encoded slash (%2F)' }
  if (needs & NEEDS_MATRIX_PARAMS) return { kind: 'ambiguous', reason: 'The path holds a ";"' }
  return { kind: 'ambiguous', reason: 'The path holds a character that was encoded twice, or an encoded "?" or "#"' }
}

/** Lower case and nothing encoded: the lenient reading is the path itself. */
function isFolded(path: string): boolean {
  for (let index = 0; index < path.length; index++) {
    const code = path.charCodeAt(index)
    if ((code >= 0x41 && code <= 0x5a) || code === 0x25) return false
  }
  return true
}

/** Finds the longest route path that is a prefix on a segment boundary. */
function indexByPath(routes: readonly RouteConfig[], keyOf: (route: RouteConfig) => string) {
  const grouped = new Map<string, RouteConfig[]>()
  for (const route of routes) grouped.set(keyOf(route), [...(grouped.get(keyOf(route)) ?? []), route])
  const entries = new Map([...grouped].map(([path, group]) => [path, createEntry(path, group)]))
  const root = entries.get('/')
  const lengths = [...new Set([...entries.keys()].map((path) => path.length))]
    .filter((n) => n > 1)
    .sort((a, b) => b - a)

  return {
    find(path: string): PathEntry | undefined {
      for (const length of lengths) {
        if (path.length < length) continue
        if (path.length > length && path.charCodeAt(length) !== 0x2f) continue
        const entry = entries.get(path.length === length ? path : path.slice(0, length))
        if (entry) return entry
      }
      return root
    }
  }
}

function createEntry(path: string, routes: readonly RouteConfig[]): PathEntry {
  const byMethod: PathEntry['byMethod'] = new Map()
  for (const route of routes) {
    const match = { kind: 'route', route } as const
    for (const method of route.methods ?? [null]) byMethod.set(method, match)
  }
  // What may be read may be asked about (RFC 9110, section 9.3.2).
  const get = byMethod.get('GET')
  if (get && !byMethod.has('HEAD')) byMethod.set('HEAD', get)
  const allow = [...byMethod.keys()].filter((method) => method !== null).join(', ')
  return { path, byMethod, allow }
}
