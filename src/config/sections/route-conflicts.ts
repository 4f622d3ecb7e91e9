/** Reports routes that conflict: reachable in two ways of unequal strictness, or not at all, and
 *  a public catch-all above a stricter route of the same upstream. A public exception inside a
 *  protected prefix is normal and not reported. */
import { foldCase } from '../../http/path/lenient-reading.ts'
import { covers, withoutPrefix } from '../../http/path/prefix.ts'
import { pathFault } from '../path-fault.ts'
import { quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { entries, type RuleContext, warnUnlessAllowed } from '../section.ts'
import type { RoutesDraft } from './routes.ts'
import { canonicalTarget, targetFault } from './target-url.ts'
import type { UpstreamsDraft } from './upstreams.ts'

interface Guard {
  readonly index: number
  readonly path: string
  /** The path as an upstream reads it that ignores case. */
  readonly folded: string
  readonly methods: readonly string[] | null
  readonly upstream: string
  readonly strictness: number
  /** Only some client addresses may use it. */
  readonly isFenced: boolean
  readonly stripPrefix: string
  /** The allowance that leaves decoding to the upstream. */
  readonly decodesLater: 'encodedSlash' | 'doubleEncoding' | null
  readonly isCaseSensitive: boolean
  /** Path that the upstream sees for `path`. */
  readonly seenPath: string
  /** Origins of its targets, those of variants included. */
  readonly origins: ReadonlySet<string>
}

const strictness = { public: 0, optional: 1, required: 2 } as const
const words = ['public', 'optional', 'required', 'required with claims'] as const

export function checkRouteConflicts(draft: RoutesDraft & UpstreamsDraft, context: RuleContext): void {
  const { report } = context
  const routes = readRoutes(draft)
  const spellings = new Map<string, Guard[]>()
  for (const route of routes) {
    const others = spellings.get(route.folded) ?? []
    for (const other of others) caseTwins(other, route, report)
    spellings.set(route.folded, [...others, route])
  }
  for (const lax of routes) {
    const stricter = routes.filter((route) => route.strictness > lax.strictness && shareOrigin(lax, route))
    // One example of each is enough.
    stricter.some((strict) => sideDoor(lax, strict, routes, report))
    if (stricter[0] !== undefined) laterDecoding(lax, stricter[0], report)
    const inside = routes.find((route) => isStricter(route, lax) && shareOrigin(lax, route) && isCatchAll(lax, route))
    if (inside !== undefined) catchAll(lax, inside, context)
  }
}

function readRoutes(draft: RoutesDraft & UpstreamsDraft): Guard[] {
  return entries(draft.routes).flatMap(([index, route]) => {
    const { path, upstream, auth, methods, stripPrefix = '/', allow } = route
    if (path === undefined || upstream === undefined || auth === undefined) return []
    if (pathFault(path) !== null || !covers(stripPrefix, path)) return []
    const names = [upstream, ...entries(route.variants).flatMap(([, variant]) => variant.upstream ?? [])]
    const targets = names
      .flatMap((name) => entries(draft.upstreams?.[name]?.targets))
      .flatMap(([, { url }]) => url ?? [])
    const isMarked = auth === 'required' && Object.keys(route.require ?? {}).length > 0
    return {
      index,
      path,
      folded: foldCase(path),
      methods: methods === undefined ? null : entries(methods).map(([, method]) => method),
      upstream,
      strictness: strictness[auth] + (isMarked ? 1 : 0),
      isFenced: route.ip !== undefined,
      stripPrefix,
      seenPath: withoutPrefix(path, stripPrefix),
      decodesLater: allow?.encodedSlash ? 'encodedSlash' : allow?.doubleEncoding ? 'doubleEncoding' : null,
      isCaseSensitive: route.caseSensitive === true,
      origins: new Set(targets.map((url) => (targetFault(url) === null ? canonicalTarget(url) : url)))
    } as const
  })
}

function warn(route: Guard, other: Guard, message: string, report: Report): void {
  report.warn(['routes', route.index, 'path'], withLines(route, other, message, report))
}

function withLines(route: Guard, other: Guard, message: string, report: Report): string {
  const [line, otherLine] = [route, other].map(({ index }) => report.line(['routes', index, 'path']))
  return message.replace('{line}', `line ${line}`).replace('{other}', () => `${quote(other.path)} on line ${otherLine}`)
}

/** True when a client that may use `lax` may not use `route`. */
function isStricter(route: Guard, lax: Guard): boolean {
  const isFencedOnly = route.isFenced && !lax.isFenced && route.strictness === lax.strictness
  return route.strictness > lax.strictness || isFencedOnly
}

/** True when a route without a token covers a stricter one of the same upstream. */
function isCatchAll(lax: Guard, strict: Guard): boolean {
  const isOpen = lax.strictness < strictness.required
  return (
    isOpen &&
    lax.folded !== strict.folded &&
    covers(lax.folded, strict.folded) &&
    commonMethod(lax, strict) !== undefined
  )
}

/** The gateway checks every reading of a path that it knows; a router may know one more. */
function catchAll(lax: Guard, strict: Guard, context: RuleContext): void {
  const message = `this ${words[lax.strictness]} route ({line}) covers the stricter {other} on the same upstream: a router there that reads paths leniently may take other paths for it; give open paths their own prefix`
  const text = withLines(lax, strict, message, context.report)
  warnUnlessAllowed(context, ['routes', lax.index, 'path'], text, 'public-catch-all')
}

/** Two spellings of one path for an upstream that ignores case. */
function caseTwins(a: Guard, b: Guard, report: Report): void {
  if (a.path === b.path) return
  const [lax, strict] = a.strictness <= b.strictness ? [a, b] : [b, a]
  if (lax.isCaseSensitive && strict.isCaseSensitive) return
  if (lax.strictness === strict.strictness) {
    const message = 'this route ({line}) differs from {other} only in case, and most upstreams read the two as one'
    warn(b, a, message, report)
  } else {
    const message =
      'this route ({line}) is never used: it differs only in case from the stricter {other}, which takes precedence'
    warn(lax, strict, message, report)
  }
}

/** The upstream sees one path, and two routes of unequal strictness lead to it: stripping a
 *  prefix does that. */
function sideDoor(lax: Guard, strict: Guard, routes: readonly Guard[], report: Report): boolean {
  const method = commonMethod(lax, strict)
  const isTwin = lax.folded === strict.folded && lax.stripPrefix === strict.stripPrefix
  if (method === undefined || isTwin) return false
  const [open, guarded] = [lax.seenPath, strict.seenPath]
  const [laxWord, strictWord] = [words[lax.strictness], words[strict.strictness]]

  const inside = below(open, guarded)
  if (inside !== null) {
    const path = join(lax.path, inside)
    const reached = find(routes, path, method)
    if (reached === null || reached.strictness >= strict.strictness || !shareOrigin(reached, strict)) return false
    const message = `${quote(path)} reaches by this ${laxWord} route ({line}) what the upstream knows as ${quote(guarded)}, which {other} (${strictWord}) protects`
    warn(lax, strict, message, report)
    return true
  }

  const outside = below(guarded, open)
  if (outside === null) return false
  const path = join(strict.path, outside)
  const regular = find(routes, path, method)
  // An exception with the same name on both ways is intended.
  if (regular === null || regular.strictness < strict.strictness) return false
  const message = `this ${laxWord} route ({line}) reaches what ${quote(path)} reaches by the stricter {other} (${strictWord})`
  warn(lax, strict, message, report)
  return true
}

/** An upstream that decodes a slash later can open another directory than the one that was
 *  checked. */
function laterDecoding(lax: Guard, strict: Guard, report: Report): void {
  if (lax.decodesLater === null) return
  const message = `allow.${lax.decodesLater} on this ${words[lax.strictness]} route ({line}) lets a path through that the upstream may decode to one of {other} (${words[strict.strictness]})`
  warn(lax, strict, message, report)
}

function shareOrigin(a: Guard, b: Guard): boolean {
  return a.upstream === b.upstream || [...a.origins].some((origin) => b.origins.has(origin))
}

/** A method that both take; GET where neither names methods. */
function commonMethod(a: Guard, b: Guard): string | undefined {
  if (a.methods === null) return b.methods === null ? 'GET' : b.methods[0]
  return b.methods === null ? a.methods[0] : a.methods.find((method) => b.methods?.includes(method))
}

/** The rest of `path` below `prefix` for an upstream that ignores case; null when it is not
 *  below. */
function below(prefix: string, path: string): string | null {
  if (!covers(foldCase(prefix), foldCase(path))) return null
  return prefix === '/' ? (path === '/' ? '' : path) : path.slice(prefix.length)
}

function join(path: string, rest: string): string {
  return path === '/' ? rest || '/' : `${path}${rest}`
}

/** The route that takes the request: the longest path, then the one that names the method. As
 *  in the route table, a stricter route that differs in case takes precedence. */
function find(routes: readonly Guard[], path: string, method: string): Guard | null {
  const exact = longest(routes, (route) => covers(route.path, path), method)
  const folded = longest(routes, (route) => covers(route.folded, foldCase(path)), method)
  return exact !== null && folded !== null && folded.strictness > exact.strictness ? folded : exact
}

function longest(routes: readonly Guard[], isCovering: (route: Guard) => boolean, method: string): Guard | null {
  const found = routes
    .filter(isCovering)
    .sort((a, b) => b.path.length - a.path.length || Number(a.methods === null) - Number(b.methods === null))
  const takes = ({ path, methods }: Guard) =>
    path.length === found[0]?.path.length && (methods === null || methods.includes(method))
  return found.find(takes) ?? null
}
