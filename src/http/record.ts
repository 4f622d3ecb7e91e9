/** What is known of one request from its first byte to its line in the access log. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RouteConfig } from '../config/config.ts'
import type { Principal } from '../identity/principal.ts'
import type { RequestHeaders } from './headers/request-headers.ts'
import type { Peer } from './network.ts'
import type { CanonicalPath } from './path/canonical-path.ts'

export interface UnderWay {
  /** The response is over, whether it was finished or the client left. */
  onClientClose(): void
}

export interface RequestContext {
  requestId: string
  traceparent: string
  /** Milliseconds of `performance.now()`. */
  readonly startedAt: number
  readonly method: string
  readonly peer: Peer
  /** The client itself where a trusted proxy stands between. */
  clientAddress: string
  /** Null when the target was refused, and for `OPTIONS *`. */
  target: CanonicalPath | null
  /** Null when they were refused. */
  headers: RequestHeaders | null
  route: RouteConfig | null
  principal: Principal | null
  /** Why the request was let through or not: `token`, `public`, `anonymous`, `own`, or an error code. */
  reason: string
  isGranted: boolean
  /** Milliseconds until the head of the upstream's response, or -1. */
  upstreamTime: number
  /** What is being done for it. An object and no closure: a new closure for each request outlives the request by several
   *  collections until the optimizing compiler has been through, and everything that it knows with it. */
  underWay: UnderWay | null
}

const CONTEXT = Symbol('request context')
type Carrier = (IncomingMessage | ServerResponse) & { [CONTEXT]?: RequestContext }

export function setContext(carrier: IncomingMessage | ServerResponse, context: RequestContext): void {
  ;(carrier as Carrier)[CONTEXT] = context
}

/** Every request has one by the time anything asks. */
export function contextOf(carrier: IncomingMessage | ServerResponse): RequestContext {
  const context = (carrier as Carrier)[CONTEXT]
  if (!context) throw new Error('the request did not come through the front door')
  return context
}
