/** Strict-Transport-Security (RFC 6797) on answers to requests that came by https. */
import type { AdmittedRequest } from '../request.ts'
import { headerValue } from './header-value.ts'

export const HSTS = 'Strict-Transport-Security'

/** True for a request over TLS, to the gateway or to a trusted proxy in front of it. */
export function isHttps({ peer, headers }: Pick<AdmittedRequest, 'peer' | 'headers'>): boolean {
  return (headers.forwardedProto ?? peer.proto) === 'https'
}

/** Adds the header to a head, unless the backend or the route set one: clients read the first only.
 *  @param value Null: no header.
 *  @param head Name and value in turns. */
export function addHsts(head: string[], value: string | null, request: AdmittedRequest): void {
  if (value === null || !isHttps(request) || headerValue(head, 'strict-transport-security') !== undefined) return
  head.push(HSTS, value)
}
