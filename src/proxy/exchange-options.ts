/** What one proxied request is made of. */
import type { ServerResponse } from 'node:http'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { AdmittedRequest, GatewayRequest } from '../http/request.ts'
import type { Flusher } from './flusher.ts'
import type { PlannedRoute } from './plan.ts'
import type { UpstreamHead } from './upstream-head.ts'

export interface ExchangeOptions {
  readonly req: GatewayRequest
  readonly res: ServerResponse
  readonly request: AdmittedRequest
  readonly route: PlannedRoute
  readonly head: UpstreamHead
  readonly responseHeaders: ResponseHeaders
  readonly flusher: Flusher
  readonly lifecycle: Pick<Lifecycle, 'isDraining'>
  /** What `hash` keeps on one target. */
  readonly balanceKey: string | null
}
