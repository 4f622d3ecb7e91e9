/** The headers that an explained request has for its upstream, and those that are removed. */
import type { RouteConfig } from '../../config/config.ts'
import { canonicalName } from '../../http/headers/header-names.ts'
import type { RequestHeaders, Stripped } from '../../http/headers/request-headers.ts'
import { listHeaders, type UpstreamHead } from '../upstream-head.ts'

/** Replaces a value that may be a secret. */
const MASK = '***'

/** Masks the values of credentials.
 *  @param fixed The headers that the upstream sets. */
export function sentHeaders(head: UpstreamHead, fixed: Readonly<Record<string, string>>): [string, string][] {
  const secret = canonical(Object.keys(fixed))
  const sent = pairs(listHeaders(head)).map(([name, value]): [string, string] => [
    name,
    secret.has(canonicalName(name)) ? MASK : value
  ])
  return head.host === null ? sent : [['Host', head.host], ...sent]
}

/** The headers of the client that the route or its upstream replaces or removes. */
export function removedBy(
  route: RouteConfig | null,
  fixed: Readonly<Record<string, string>>,
  { kept }: RequestHeaders
): Stripped[] {
  const { set = {}, remove = [] } = route?.requestHeaders ?? {}
  const edits = [
    { names: canonical(Object.keys(set)), why: 'the route sets it (requestHeaders.set)' },
    { names: canonical(remove), why: 'the route removes it (requestHeaders.remove)' },
    { names: canonical(Object.keys(fixed)), why: 'the upstream sets it (headers)' }
  ]
  return pairs(kept).flatMap(([name]) => {
    const edit = edits.find(({ names }) => names.has(canonicalName(name)))
    return edit ? [{ name, why: edit.why }] : []
  })
}

function canonical(names: readonly string[]): Set<string> {
  return new Set(names.map(canonicalName))
}

function pairs(list: readonly string[]): [string, string][] {
  return list.flatMap((name, index): [string, string][] => (index % 2 === 0 ? [[name, list[index + 1] ?? '']] : []))
}
