/** Builds the head of the response to the client from the upstream's. HTTP and WebSocket use it. */
import { rewriteLocation } from '../http/headers/location.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { PlannedRoute } from './plan.ts'

/** The request that is answered. */
export interface AnsweredRequest {
  readonly request: AdmittedRequest
  readonly route: PlannedRoute
}

/** Gives name and value in turns; null when the upstream's head contradicts itself.
 *  @param raw Name and value in turns, unchanged. */
export function buildResponseHead(
  raw: readonly string[],
  status: number,
  responseHeaders: ResponseHeaders,
  { request, route }: AnsweredRequest
): string[] | null {
  const head = responseHeaders.build(raw, status, route.responseHeaders)
  if (head === null) return null
  if (hasLocation(status) && route.rewriteLocation) {
    const { forwardedHost: clientHost = request.headers.host } = request.headers
    const { upstream, host } = route.plan
    const upstreamHost = host === 'client' ? null : host
    rewriteLocation(head, { targets: upstream.targets, stripPrefix: route.stripPrefix, upstreamHost, clientHost })
  }
  const { cors } = route.plan
  return cors === null || status < 200 ? head : cors.replaceIn(head, request)
}

/** 202 often names the place where the result will be. */
function hasLocation(status: number): boolean {
  return status === 201 || status === 202 || (status >= 300 && status < 400)
}
