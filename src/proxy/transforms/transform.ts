/** The port of a body transform, which reads and replaces the request body of a route. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { BodyLimits } from '../../http/body/request-body.ts'
import type { RequestHeaders } from '../../http/headers/request-headers.ts'
import type { Principal } from '../../identity/principal.ts'

/** Bytes, or a stream that can be sent once. */
export type ForwardedBody = Buffer | Readable

export interface TransformedRequest {
  readonly principal: Principal | null
  readonly headers: RequestHeaders
  readonly limits: BodyLimits
  /** Headers for the upstream, name and value in turns. The transform sets Content-Length and
   *  every other header that describes the body. */
  readonly upstreamHeaders: string[]
}

export interface BodyTransform {
  /** Rejects with an ApiError for the client. */
  apply(req: IncomingMessage, request: TransformedRequest): Promise<ForwardedBody>
}
