/** Everything that proxied requests need: the parts that all share, and one request. */
import type { Clock } from '../clock.ts'
import type { ClientSide } from '../http/client-side.ts'
import type { Guard } from '../http/guard.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Principal } from '../identity/principal.ts'
import type { Flusher } from './flusher.ts'
import type { LiveConnections } from './live-connections.ts'
import type { PlannedRoute } from './plan.ts'
import type { UpstreamHead } from './upstream-head.ts'

export interface ExchangeParts {
  readonly responseHeaders: ResponseHeaders
  readonly flusher: Flusher
  readonly lifecycle: Pick<Lifecycle, 'isDraining'>
  readonly clock: Clock
  readonly guard: Pick<Guard, 'toApiError'>
  readonly live: Pick<LiveConnections, 'add' | 'remove'>
  /** Adds Server-Timing to the answer. */
  readonly serverTiming: boolean
  /** Value of Strict-Transport-Security; null for none. */
  readonly hsts: string | null
}

export interface ExchangedRequest {
  readonly client: ClientSide
  readonly request: AdmittedRequest
  readonly route: PlannedRoute
  readonly head: UpstreamHead
  /** Null for a request without a user. */
  readonly principal: Principal | null
}
