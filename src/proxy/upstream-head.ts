/** A request as its upstream gets it, but for what belongs to the connection. */
import type { RouteConfig } from '../config/config.ts'
import {
  buildUpstreamHeaders,
  claimHeaders,
  identityHeaders,
  type Origin,
  type RequestHeaders
} from '../http/headers/request-headers.ts'
import type { CanonicalPath } from '../http/path/canonical-path.ts'
import { withoutPrefix } from '../http/path/prefix.ts'
import type { RequestContext } from '../http/record.ts'
import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'

export interface Outgoing {
  /** With the query. */
  readonly path: string
  /** Name and value in turns. */
  readonly headers: string[]
  readonly hasBody: boolean
}

/** `target` and `headers` are those of the context. */
export type BuildOutgoing = (
  context: RequestContext,
  route: RouteConfig,
  target: CanonicalPath,
  headers: RequestHeaders
) => Outgoing

export function createOutgoing(
  routes: readonly RouteConfig[],
  revocations: Pick<Revocations, 'statusOf'>
): BuildOutgoing {
  /** What a principal's identity looks like on a route, kept for as long as its token is. */
  const identities = new Map(routes.map((route) => [route, new WeakMap<Principal, readonly string[]>()]))

  function identityOf(route: RouteConfig, principal: Principal): readonly string[] {
    const remembered = identities.get(route)
    const status = revocations.statusOf(principal)
    const isCacheable = status === principal.status
    const known = isCacheable ? remembered?.get(principal) : undefined
    if (known) return known
    const headers = identityHeaders(principal, route.identityHeaders, status)
    headers.push(...claimHeaders(route.inject, principal.claims))
    // A copy has no room left over for more, as an array that has grown does.
    if (isCacheable) remembered?.set(principal, headers.slice())
    return headers
  }

  return (context, route, target, headers) => {
    const { method, principal } = context
    const bodyLength = headers.isChunked ? -1 : (headers.contentLength ?? 0)
    // The body of a GET or HEAD has no meaning (RFC 9110, section 9.3.1) and is left where it is.
    const hasBody = bodyLength !== 0 && method !== 'GET' && method !== 'HEAD'
    const identity = principal === null ? null : identityOf(route, principal)
    const outgoing = buildUpstreamHeaders(headers, route, originOf(context, headers), identity)
    // A body that is read on the way gets a length of its own.
    if (hasBody && bodyLength > 0 && !route.openData) outgoing.push('content-length', String(bodyLength))
    return { path: upstreamPath(route, target), headers: outgoing, hasBody }
  }
}

export function upstreamPath(route: RouteConfig, { path, query }: CanonicalPath): string {
  return withoutPrefix(path, route.stripPrefix) + query
}

function originOf(context: RequestContext, headers: RequestHeaders): Origin {
  const { peer } = context
  return {
    requestId: context.requestId,
    traceparent: context.traceparent,
    forwardedFor: headers.forwardedFor === undefined ? peer.address : `${headers.forwardedFor}, ${peer.address}`,
    forwardedProto: headers.forwardedProto ?? peer.proto,
    forwardedHost: headers.forwardedHost ?? headers.host
  }
}
