/** Builds the head of the request to the upstream: strip first, inject last. HTTP and WebSocket
 *  use it. */
import { flatCopy } from '../flat-text.ts'
import { formatLines, type OwnLines, readLines } from '../http/headers/header-lines.ts'
import { isHost } from '../http/headers/request-headers.ts'
import type { CanonicalPath } from '../http/path/canonical-path.ts'
import { withoutPrefix } from '../http/path/prefix.ts'
import type { AdmittedRequest } from '../http/request.ts'
import { claimHeaders, cloudRunHeaders, identityHeaders } from '../identity/identity-headers.ts'
import type { Principal, UserStatus } from '../identity/principal.ts'
import type { WaferKeys } from '../identity/wafer-keys.ts'
import type { PlannedRoute, RoutePlan } from './plan.ts'
import { editHeaders } from './request-edits.ts'

export interface UpstreamHead {
  /** Includes the query. */
  readonly path: string
  /** The client's headers with the changes of the route, name and value in turns; without
   *  connection headers and the length of the body. */
  readonly headers: string[]
  /** The headers that follow: the origin of the request, CDN-Loop and identity. A further try may
   *  replace its traceparent. */
  own: OwnLines
  /** Value of Host; null for the target's own. */
  readonly host: string | null
  /** Bytes of the body that goes upstream; -1: sent in chunks. */
  readonly bodyLength: number
}

/** The part of a route that its upstream heads depend on. */
type HeadRoute = Omit<PlannedRoute, 'plan'> & {
  readonly plan: Pick<RoutePlan, 'bodies' | 'identities' | 'edits' | 'host'>
}

export type BuildUpstreamHead = (
  request: AdmittedRequest,
  route: HeadRoute,
  principal: Principal | null
) => UpstreamHead

export interface UpstreamHeadDeps {
  /** Names this gateway in CDN-Loop (RFC 8586). */
  readonly loopId: string
  /** The user's status, which may be newer than the token's. */
  readonly revocations: { statusOf(principal: Principal): UserStatus }
  readonly waferKeys: Pick<WaferKeys, 'headers'>
}

export function createUpstreamHead({ revocations, waferKeys, loopId }: UpstreamHeadDeps): BuildUpstreamHead {
  const loopEnd = `${loopId}\r\n`

  /** The end of CDN-Loop and the identity, prepared once for each user of a route. */
  function preparedFor(route: HeadRoute, principal: Principal): string {
    const { identities } = route.plan
    const status = revocations.statusOf(principal)
    const isCacheable = status === principal.status
    const known = isCacheable ? identities.get(principal) : undefined
    if (known !== undefined) return known
    const headers = namesOf(route, principal, status)
    headers.push(...claimHeaders(route.inject, principal.claims))
    // Joined texts would keep all their parts.
    const lines = flatCopy(loopEnd + formatLines(headers))
    if (isCacheable) identities.set(principal, lines)
    return lines
  }

  function namesOf({ identity }: HeadRoute, principal: Principal, status: UserStatus): string[] {
    if (identity.headers === 'wxgate') return identityHeaders(principal, status)
    return identity.headers === 'wafer' ? waferKeys.headers(principal) : cloudRunHeaders(principal, identity)
  }

  return (request, route, principal) => {
    const { method, target, headers } = request
    const bodyLength = headers.isChunked ? -1 : (headers.contentLength ?? 0)
    // The body of a GET or HEAD has no meaning (RFC 9110, section 9.3.1).
    const isBodyDropped = bodyLength !== 0 && (method === 'GET' || method === 'HEAD') && !route.allow.getBody
    const { edits, host } = route.plan
    const kept = isBodyDropped ? withoutContent(headers.kept) : headers.kept
    // The request's own list is used once.
    const upstream = edits === null ? kept : editHeaders(kept, edits)
    if (route.identity.headers === 'cloudrun') removeHeader(upstream, 'x-original-forwarded-for')
    return {
      path: upstreamPath(route, target),
      headers: upstream,
      own: originLines(request, route, principal === null ? loopEnd : preparedFor(route, principal)),
      host: host && hostOf(host, request),
      bodyLength: isBodyDropped ? 0 : bodyLength
    }
  }
}

/** Reports a failed try. Prepares the head for the next one, whose trace context may be another.
 *  @param cause A status, or a word for the log. */
export function prepareRetry(
  {
    head,
    request: { record }
  }: { readonly head: { own: OwnLines }; readonly request: Pick<AdmittedRequest, 'record'> },
  cause: string
): void {
  const { traceparent } = record
  record.tryFailed(cause)
  if (record.traceparent === traceparent) return
  head.own = { ...head.own, text: head.own.text.replace(traceparent, record.traceparent) }
}

/** All headers of the head, name and value in turns. */
export function listHeaders({ headers, own }: UpstreamHead): string[] {
  return [...headers, ...readLines(own.text + own.prepared)]
}

/** The canonical path without the prefix that the route strips. */
export function upstreamPath(route: { readonly stripPrefix: string | null }, { path, query }: CanonicalPath): string {
  return withoutPrefix(path, route.stripPrefix) + query
}

/** @param host A name, or `client`. A proxy may have sent an X-Forwarded-Host that is no host. */
function hostOf(host: string, { headers }: AdmittedRequest): string | null {
  if (host !== 'client') return host
  const { forwardedHost } = headers
  if (forwardedHost !== undefined && isHost(forwardedHost)) return forwardedHost
  // An HTTP/1.0 request may lack Host.
  return headers.host === '' ? null : headers.host
}

/** The headers without those that describe a body. */
function withoutContent(kept: readonly string[]): string[] {
  const headers: string[] = []
  for (let index = 0; index + 1 < kept.length; index += 2) {
    const name = kept[index] as string
    if (!/^content-(?:type|encoding|language|location|range|disposition|md5|digest)$/i.test(name)) {
      headers.push(name, kept[index + 1] as string)
    }
  }
  return headers
}

/** The headers that describe the origin of the request. */
function originLines(
  { record, headers, peer }: AdmittedRequest,
  { stripPrefix, identity }: HeadRoute,
  prepared: string
): OwnLines {
  const { forwardedFor, forwardedHost = headers.host, forwardedPrefix = '', loop } = headers
  let text = `X-Request-Id: ${record.requestId}\r\nX-Forwarded-For: `
  if (forwardedFor !== undefined) text += listBefore(forwardedFor)
  text += `${peer.address}\r\nX-Forwarded-Proto: ${headers.forwardedProto ?? peer.proto}\r\n`
  let count = 4
  // An HTTP/1.0 request may lack Host.
  if (forwardedHost !== '') {
    text += `X-Forwarded-Host: ${forwardedHost}\r\n`
    count++
  }
  const prefix = stripPrefix === null || stripPrefix === '/' ? forwardedPrefix : forwardedPrefix + stripPrefix
  if (prefix !== '') {
    text += `X-Forwarded-Prefix: ${prefix}\r\n`
    count++
  }
  if (identity.headers === 'cloudrun') {
    // WeChat Cloud Run names the client in it. A trusted proxy may have sent one too.
    text += `X-Original-Forwarded-For: ${record.clientAddress}\r\n`
    count++
  }
  text += `traceparent: ${record.traceparent}\r\nCDN-Loop: `
  if (loop !== undefined) text += `${loop}, `
  return { text, count, prepared }
}

const EMPTY_ELEMENT = /^[\t ]*(?:,|$)|,[\t ]*(?:,|$)/

/** A list in front of one more element, without empty ones (RFC 9110, section 5.6.1). */
function listBefore(list: string): string {
  if (!EMPTY_ELEMENT.test(list)) return `${list}, `
  const elements = list.split(',').map((element) => element.trim())
  return elements.flatMap((element) => (element === '' ? [] : `${element}, `)).join('')
}

/** @param name In small letters. */
function removeHeader(headers: string[], name: string): void {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (headers[index]?.toLowerCase() === name) headers.splice(index, 2)
  }
}
