/** Headers that routes set, remove and inject. */
import { canonicalName, isReservedRequestHeader, isReservedResponseHeader } from '../../http/headers/header-names.ts'
import { type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { entries, type RuleContext } from '../section.ts'
import type { RouteDraft, RoutesDraft } from './routes.ts'

export function checkRouteHeaders(draft: RoutesDraft, { report }: RuleContext): void {
  for (const [index, route] of entries(draft.routes)) {
    const toUpstream = createNames(isReservedRequestHeader, report)
    const toClient = createNames(isReservedResponseHeader, report)
    const path = ['routes', index]
    checkSet(route.requestHeaders, [...path, 'requestHeaders', 'set'], toUpstream, report)
    checkSet(route.responseHeaders, [...path, 'responseHeaders', 'set'], toClient, report)
    for (const name of Object.keys(route.inject ?? {})) toUpstream.add(name, [...path, 'inject', name], 'injected')
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
    // Latin-1 is the alphabet of HTTP/1, and a line break would start another header (RFC 9110,
    // section 5.5).
    if (!value || !/[^\t\u0020-\u007e\u0080-\u00ff]|^[ \t]|[ \t]$/.test(value)) continue
    report.error(
      [...path, name],
      'the value must not hold control characters, characters beyond Latin-1, or a space at either end'
    )
  }
}
