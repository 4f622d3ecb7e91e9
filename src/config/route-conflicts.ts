/** Routes that undo each other: reachable in two ways of unequal strictness, or not at all. What is merely nested is normal
 *  and not reported: a public catch-all with a protected prefix below, or a public exception inside a protected prefix. */
import { quote } from './problem.ts'
import { covers, pathFault, stripped } from './route-path.ts'
import { entries, type Rule, type RuleContext } from './rules/rule.ts'

interface LintedRoute {
  readonly index: number
  readonly path: string
  readonly methods: readonly string[] | null
  readonly upstream: string
  readonly strictness: number
  readonly stripPrefix: string | null
  readonly decodesLater: 'encodedSlash' | 'doubleEncoding' | null
  readonly isCaseSensitive: boolean
  /** Origins that it can reach. */
  readonly origins: ReadonlySet<string>
}

const strictness = { public: 0, optional: 1, required: 2 } as const
const words = ['public', 'optional', 'required', 'required with claims'] as const

export const lint: Rule = (context) => {
  const routes = readRoutes(context)
  for (const [index, b] of routes.entries()) {
    for (const a of routes.slice(0, index)) caseTwins(a, b, context)
  }
  for (const lax of routes) {
    const stricter = routes.filter((route) => route.strictness > lax.strictness && shareOrigin(lax, route))
    // One example for each is enough to act on.
    stricter.some((strict) => sideDoor(lax, strict, routes, context))
    if (stricter[0] !== undefined) laterDecoding(lax, stricter[0], context)
  }
}

function readRoutes({ draft }: RuleContext): LintedRoute[] {
  return entries(draft.routes).flatMap(([index, route]) => {
    const { path, upstream, auth, methods, stripPrefix, allow } = route
    if (path === undefined || upstream === undefined || auth === undefined || pathFault(path) !== null) return []
    const targets = entries(draft.upstreams?.[upstream]?.targets).flatMap(([, target]) => target.url ?? [])
    const isMarked = auth === 'required' && Object.keys(route.require ?? {}).length > 0
    return {
      index,
      path,
      methods: methods === undefined ? null : entries(methods).map(([, method]) => method),
      upstream,
      strictness: strictness[auth] + (isMarked ? 1 : 0),
      stripPrefix: stripPrefix ?? null,
      decodesLater: allow?.encodedSlash ? 'encodedSlash' : allow?.doubleEncoding ? 'doubleEncoding' : null,
      isCaseSensitive: route.caseSensitive === true,
      origins: new Set(targets.map((url) => (URL.canParse(url) ? new URL(url).origin : url)))
    } as const
  })
}

function warn(route: LintedRoute, other: LintedRoute, message: string, { report }: RuleContext): void {
  const [line, otherLine] = [report.line(['routes', route.index, 'path']), report.line(['routes', other.index, 'path'])]
  const text = message
    .replace('{line}', `line ${line}`)
    .replace('{other}', () => `${quote(other.path)} on line ${otherLine}`)
  report.warn(['routes', route.index, 'path'], text)
}

/** Two spellings of one path for an upstream that ignores case. */
function caseTwins(a: LintedRoute, b: LintedRoute, context: RuleContext): void {
  if (a.path === b.path || a.path.toLowerCase() !== b.path.toLowerCase()) return
  const [lax, strict] = a.strictness <= b.strictness ? [a, b] : [b, a]
  if (lax.isCaseSensitive && strict.isCaseSensitive) return
  if (lax.strictness === strict.strictness) {
    warn(
      b,
      a,
      'this route ({line}) differs from {other} only in case, and most upstreams take the two for one',
      context
    )
  } else {
    warn(
      lax,
      strict,
      'this route ({line}) is never used: it differs only in case from the stricter {other}, which counts',
      context
    )
  }
}

/** The upstream sees one path, and two routes of unequal strictness lead to it: stripping a prefix does that. */
function sideDoor(
  lax: LintedRoute,
  strict: LintedRoute,
  routes: readonly LintedRoute[],
  context: RuleContext
): boolean {
  const method = commonMethod(lax, strict)
  const isTwin = lax.path.toLowerCase() === strict.path.toLowerCase() && lax.stripPrefix === strict.stripPrefix
  if (method === undefined || isTwin) return false
  const open = stripped(lax.path, lax.stripPrefix)
  const guarded = stripped(strict.path, strict.stripPrefix)
  const [laxWord, strictWord] = [words[lax.strictness], words[strict.strictness]]

  const inside = below(open, guarded)
  if (inside !== null) {
    const path = join(lax.path, inside)
    const reached = find(routes, path, method)
    if (reached === null || reached.strictness >= strict.strictness || !shareOrigin(reached, strict)) return false
    const message = `${quote(path)} reaches by this ${laxWord} route ({line}) what the upstream knows as ${quote(guarded)}, which {other} (${strictWord}) protects`
    warn(lax, strict, message, context)
    return true
  }

  const outside = below(guarded, open)
  if (outside === null) return false
  const path = join(strict.path, outside)
  const regular = find(routes, path, method)
  // An exception that has the same name on both ways is meant.
  if (regular === null || regular.strictness < strict.strictness) return false
  const message = `this ${laxWord} route ({line}) reaches what ${quote(path)} reaches by the stricter {other} (${strictWord})`
  warn(lax, strict, message, context)
  return true
}

/** Past the gateway, an encoded slash can end in another directory than the one that was checked. */
function laterDecoding(lax: LintedRoute, strict: LintedRoute, context: RuleContext): void {
  if (lax.decodesLater === null) return
  const message = `allow.${lax.decodesLater} on this ${words[lax.strictness]} route ({line}) lets a path through that the upstream may decode to one of {other} (${words[strict.strictness]})`
  warn(lax, strict, message, context)
}

function shareOrigin(a: LintedRoute, b: LintedRoute): boolean {
  return a.upstream === b.upstream || [...a.origins].some((origin) => b.origins.has(origin))
}

/** A method that both take; any, where neither names some. */
function commonMethod(a: LintedRoute, b: LintedRoute): string | undefined {
  if (a.methods === null) return b.methods === null ? 'GET' : b.methods[0]
  return b.methods === null ? a.methods[0] : a.methods.find((method) => b.methods?.includes(method))
}

/** The rest of `path` below `prefix` as an upstream without regard for case sees it; null when it is not below. */
function below(prefix: string, path: string): string | null {
  if (!covers(prefix.toLowerCase(), path.toLowerCase())) return null
  return prefix === '/' ? (path === '/' ? '' : path) : path.slice(prefix.length)
}

function join(path: string, rest: string): string {
  return path === '/' ? rest || '/' : `${path}${rest}`
}

/** The route that counts: the longest path, then the one that names the method. As in the edge's own table, a stricter
 *  route that differs in case wins. */
function find(routes: readonly LintedRoute[], path: string, method: string): LintedRoute | null {
  const takes = (route: LintedRoute) => route.methods === null || route.methods.includes(method)
  const longest = (fold: (text: string) => string) =>
    routes
      .filter((route) => covers(fold(route.path), fold(path)))
      .sort((a, b) => b.path.length - a.path.length || Number(a.methods === null) - Number(b.methods === null))
  const [exact, folded] = [longest((text) => text), longest((text) => text.toLowerCase())].map((found) => {
    return found.find((route) => route.path.length === found[0]?.path.length && takes(route)) ?? null
  })
  if (!exact || !folded) return exact ?? null
  return folded.strictness > exact.strictness ? folded : exact
}
