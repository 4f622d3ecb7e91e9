/** What one proxied request is made of. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RouteConfig } from '../config/config.ts'
import type { BodyLimits } from '../http/body/request-body.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { RequestContext } from '../http/record.ts'
import type { Upstream } from '../upstream/upstreams.ts'
import type { Flusher } from './flusher.ts'

export interface ExchangeOptions {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly context: RequestContext
  readonly route: RouteConfig
  readonly upstream: Upstream
  /** Path and query as the target receives them. */
  readonly path: string
  /** Name and value in turns. */
  readonly headers: string[]
  readonly hasBody: boolean
  readonly bodyLimits: BodyLimits
  readonly responseHeaders: ResponseHeaders
  readonly flusher: Flusher
  readonly lifecycle: Lifecycle
  /** What `hash` keeps on one target. */
  readonly balanceKey: string | null
}
