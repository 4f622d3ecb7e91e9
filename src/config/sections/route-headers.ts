/** Headers that routes set, remove and inject. */
import { canonicalName, isReservedRequestHeader, isReservedResponseHeader } from '../../http/headers/header-names.ts'
import { headerValueFault } from '../header-value.ts'
import { type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { entries, type RuleContext } from '../section.ts'
import type { RouteDraft, RoutesDraft } from './routes.ts'
import type { UpstreamsDraft } from './upstreams.ts'

export function checkRouteHeaders(draft: RoutesDraft & UpstreamsDraft, { report }: RuleContext): void {
  for (const [index, route] of entries(draft.routes)) {
    const toUpstream = createNames(isReservedRequestHeader, report)
    const toClient = createNames(isReservedResponseHeader, report)
    const path = ['routes', index]
    checkSet(route.requestHeaders, [...path, 'requestHeaders', 'set'], toUpstream, report)
    checkSet(route.responseHeaders, [...path, 'responseHeaders', 'set'], toClient, report)
    for (const name of Object.keys(route.inject ?? {})) toUpstream.add(name, [...path, 'inject', name], 'injected')
    checkUpstreamHeaders(route, path, draft, report)
  }
}

/** Header names of one direction: reserved ones and second spellings are reported. */
function createNames(isReserved: (name: string) => boolean, report: Report) {
  const known = new Map<string, string>()
  return {
    add(name: string, path: Path, verb: 'set' | 'injected') {
      if (isReserved(name)) report.error(path, `this header is reserved and cannot be ${verb}`, undefined, 'key')
      const other = known.get(canonicalName(name))
      if (other === undefined) known.set(canonicalName(name), name)
      else {
        const message = `is another spelling of ${quote(other)}, and some servers read the two as one`
        report.error(path, message, undefined, 'key')
      }
    }
  }
}

function checkSet(
  edits: RouteDraft['requestHeaders'],
  path: Path,
  names: ReturnType<typeof createNames>,
  report: Report
): void {
  for (const [name, value] of Object.entries(edits?.set ?? {})) {
    names.add(name, [...path, name], 'set')
    const fault = value ? headerValueFault(value) : null
    if (fault !== null) report.error([...path, name], fault)
  }
}

/** A header that a route and its upstream set has no order. */
function checkUpstreamHeaders(route: RouteDraft, path: Path, { upstreams }: UpstreamsDraft, report: Report): void {
  const names = [route.upstream, ...entries(route.variants).map(([, variant]) => variant.upstream)]
  for (const upstream of new Set(names)) {
    if (upstream === undefined) continue
    const taken = new Set(Object.keys(upstreams?.[upstream]?.headers ?? {}).map(canonicalName))
    const message = `upstreams.${upstream}.headers sets this header too`
    for (const place of [['requestHeaders', 'set'], ['inject']] as const) {
      const own = place.length === 1 ? route.inject : route.requestHeaders?.set
      for (const name of Object.keys(own ?? {})) {
        if (taken.has(canonicalName(name))) report.error([...path, ...place, name], message, 'remove one', 'key')
      }
    }
  }
}
