/** `routes` and `login.hook`: every name exists, every path can be reached, and nothing protects in appearance only. */
import { METHODS } from 'node:http'
import { didYouMean, type Path, quote } from '../problem.ts'
import { covers, isOwnPath, pathFault } from '../route-path.ts'
import type { Draft, Written } from '../schema.ts'
import { checkHeaders } from './headers.ts'
import { entries, type Rule, type RuleContext } from './rule.ts'

type Route = Draft<Written['routes'][number]>

export const routes: Rule = (context) => {
  loginHook(context)
  for (const [index, route] of entries(context.draft.routes)) {
    const path: Path = ['routes', index]
    checkPath(route, path, context)
    checkNames(route, path, context)
    checkAccess(route, path, context)
    checkClaims(route, path, context)
    checkHeaders(route, path, context)
  }
  duplicates(context)
}

const loginHook: Rule = ({ draft, report }) => {
  const hook = draft.login?.hook
  if (hook?.upstream !== undefined) checkUpstream(hook.upstream, ['login', 'hook', 'upstream'], draft, report)
  const fault = hook?.path === undefined ? null : pathFault(hook.path)
  if (fault !== null) report.error(['login', 'hook', 'path'], fault.message, fault.hint)
}

function checkUpstream(name: string, path: Path, draft: Draft<Written>, report: RuleContext['report']): void {
  // Without any upstream there is a problem already, and not one for every route.
  if (draft.upstreams === undefined || Object.hasOwn(draft.upstreams, name)) return
  report.error(path, `there is no upstream ${quote(name)}`, didYouMean(name, Object.keys(draft.upstreams)))
}

function checkPath({ path: text, stripPrefix }: Route, path: Path, { report }: RuleContext): void {
  const fault = text === undefined ? null : pathFault(text)
  if (fault !== null) report.error([...path, 'path'], fault.message, fault.hint)
  else if (text !== undefined && isOwnPath(text)) {
    report.error(
      [...path, 'path'],
      'belongs to the gateway: /auth, /wechat, /.well-known/jwks.json, /livez, /readyz and /healthz cannot be routed'
    )
  }
  if (stripPrefix === undefined || text === undefined) return
  const strip = pathFault(stripPrefix)
  if (strip !== null) report.error([...path, 'stripPrefix'], strip.message, strip.hint)
  else if (stripPrefix === '/') report.error([...path, 'stripPrefix'], 'strips nothing', 'leave it out')
  else if (fault === null && !covers(stripPrefix, text)) {
    report.error([...path, 'stripPrefix'], 'must be the beginning of the path, up to the end of a segment')
  }
}

function checkNames(route: Route, path: Path, { draft, report }: RuleContext): void {
  if (route.upstream !== undefined) checkUpstream(route.upstream, [...path, 'upstream'], draft, report)
  const appIds = entries(draft.apps).flatMap(([, app]) => app.appid ?? [])
  const areAllKnown = draft.apps?.length === appIds.length
  for (const [index, appId] of entries(route.apps)) {
    if (!areAllKnown || appIds.includes(appId)) continue
    report.error([...path, 'apps', index], `there is no app ${quote(appId)}`, didYouMean(appId, appIds))
  }
  for (const [index, method] of entries(route.methods)) {
    const place = [...path, 'methods', index]
    if (method === 'CONNECT' || method === 'TRACE') report.error(place, `${method} is never let through`)
    else if (!METHODS.includes(method))
      report.error(place, 'is not a method that Node can read', didYouMean(method, METHODS))
  }
}

/** What needs a token cannot work where none is asked for, and would look like protection. */
function checkAccess(route: Route, path: Path, { report }: RuleContext): void {
  if (route.auth !== 'public' && route.auth !== 'optional') return
  const isPublic = route.auth === 'public'
  const hasRequire = Object.keys(route.require ?? {}).length > 0
  const hasInject = Object.keys(route.inject ?? {}).length > 0
  const useless: [string, boolean][] = [
    ['require', hasRequire],
    ['apps', isPublic && route.apps !== undefined],
    ['inject', isPublic && hasInject],
    ['openData', isPublic && route.openData === true],
    ['rateLimit', isPublic && route.rateLimit?.by === 'user']
  ]
  const reason = isPublic ? 'a public route never looks at the token' : 'an optional route is open without a token'
  for (const [key, isSet] of useless) {
    if (isSet) report.error([...path, key], `cannot work here: ${reason}`, 'use auth: required')
  }
}

function checkClaims(route: Route, path: Path, { draft, report }: RuleContext): void {
  const hook = draft.login?.hook
  const known = entries(hook?.claims).map(([, claim]) => claim)
  const wanted: [Path, string][] = [
    ...Object.keys(route.require ?? {}).map((claim): [Path, string] => [[...path, 'require', claim], claim]),
    ...Object.entries(route.inject ?? {}).map(([header, claim]): [Path, string] => [
      [...path, 'inject', header],
      claim ?? ''
    ])
  ]
  for (const [place, claim] of wanted) {
    if (claim === '' || known.includes(claim)) continue
    if (hook === undefined) report.error(place, 'there is no login.hook that could set this claim')
    else report.error(place, `login.hook.claims does not list ${quote(claim)}`, didYouMean(claim, known))
  }
}

/** Two routes for one path and method: which of them counts would be a matter of luck. A route for all methods beside one
 *  that names some is fine, the one that names them wins. */
const duplicates: Rule = ({ draft, report }) => {
  const seen = new Map<string, number>()
  for (const [index, { path, methods }] of entries(draft.routes)) {
    if (path === undefined) continue
    for (const method of methods ?? ['all methods']) {
      const key = `${method} ${path}`
      const first = seen.get(key)
      if (first === undefined) seen.set(key, index)
      else {
        const [line, other] = [report.line(['routes', index, 'path']), report.line(['routes', first, 'path'])]
        report.error(
          ['routes', index, 'path'],
          `is routed twice for ${method ?? 'a method'}, on line ${other} and on line ${line}`
        )
        break
      }
    }
  }
}
