/** The port of a body transform, which reads and replaces the bodies of a route. */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { BodyLimits } from '../../http/body/request-body.ts'
import type { RequestHeaders } from '../../http/headers/request-headers.ts'
import type { CanonicalPath } from '../../http/path/canonical-path.ts'
import type { GatewayRequest } from '../../http/request.ts'
import type { Principal } from '../../identity/principal.ts'

/** Bytes, or a stream that can be sent once. */
export type ForwardedBody = Buffer | Readable

export interface TransformedRequest {
  readonly req: GatewayRequest
  readonly method: string
  readonly target: CanonicalPath
  readonly hasBody: boolean
  readonly principal: Principal | null
  readonly headers: RequestHeaders
  readonly limits: BodyLimits
  /** Longest pause of the upstream's answer, in milliseconds. */
  readonly idleMs: number
  /** Headers for the upstream, name and value in turns. The transform sets Content-Length and
   *  every other header that describes the body. */
  readonly upstreamHeaders: string[]
}

export interface TransformedExchange {
  /** Null for a request without a body. */
  readonly body: ForwardedBody | null
  /** Null: the answer streams through unchanged. */
  readonly answer: AnswerTransform | null
}

export const UNCHANGED_BODIES: TransformedExchange = { body: null, answer: null }

export interface AnswerTransform {
  /** Called for each try at the upstream. */
  wrap(inner: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler
  /** The response is over. */
  release(): void
}

export interface BodyTransform {
  /** True: a request without a body passes untouched. */
  readonly needsBody: boolean
  /** Rejects with an ApiError for the client. */
  apply(request: TransformedRequest): Promise<TransformedExchange>
}
