/** Path and methods of each route: their grammar, and routes without an order. */
import { canonicalPath, PathRefusal } from '../../http/path/canonical-path.ts'
import { isOwnInDisguise, isOwnPath } from '../../http/path/own-paths.ts'
import { covers } from '../../http/path/prefix.ts'
import { METHODS } from '../../node-http.ts'
import { pathFault } from '../path-fault.ts'
import { didYouMean, type Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { entries, type RuleContext } from '../section.ts'
import type { RouteDraft, RoutesDraft } from './routes.ts'

export function checkRouteMatching(draft: RoutesDraft, { report }: RuleContext): void {
  for (const [index, route] of entries(draft.routes)) {
    checkPath(route, ['routes', index], report)
    checkMethods(route, ['routes', index], report)
  }
  checkRepeats(draft, report)
}

function checkPath({ path: text, stripPrefix }: RouteDraft, path: Path, report: Report): void {
  const fault = text === undefined ? null : pathFault(text)
  if (fault !== null) report.error([...path, 'path'], fault.message, fault.hint)
  else if (text !== undefined && isOwn(text)) {
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
    report.error([...path, 'stripPrefix'], 'must be the start of the path, up to the end of a segment')
  }
}

function isOwn(path: string): boolean {
  const canonical = canonicalPath(path)
  return isOwnPath(path) || (!(canonical instanceof PathRefusal) && isOwnInDisguise(canonical))
}

function checkMethods({ methods }: RouteDraft, path: Path, report: Report): void {
  for (const [index, method] of entries(methods)) {
    const place = [...path, 'methods', index]
    if (method === 'CONNECT' || method === 'TRACE') report.error(place, `${method} is not allowed`)
    else if (!METHODS.includes(method)) {
      report.error(place, 'is not a method that Node can read', didYouMean(method, METHODS))
    }
  }
}

/** Two routes for one path and method have no order. Beside a route for all methods, one that
 *  names a method takes precedence. */
function checkRepeats(draft: RoutesDraft, report: Report): void {
  const seen = new Map<string, number>()
  for (const [index, { path, methods }] of entries(draft.routes)) {
    if (path === undefined) continue
    for (const method of methods ?? ['all methods']) {
      const first = seen.get(`${method} ${path}`)
      if (first === undefined) {
        seen.set(`${method} ${path}`, index)
        continue
      }
      const place = ['routes', index, 'path']
      const lines = `on line ${report.line(['routes', first, 'path'])} and on line ${report.line(place)}`
      report.error(place, `is routed twice for ${method ?? 'a method'}, ${lines}`)
      break
    }
  }
}
