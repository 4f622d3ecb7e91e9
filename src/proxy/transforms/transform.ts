/** The port of a body transform, which reads and replaces the bodies of a route. */
import type { BodyLimits } from '../../http/body/request-body.ts'
import type { ClientSide } from '../../http/client-side.ts'
import type { RequestHeaders } from '../../http/headers/request-headers.ts'
import type { CanonicalPath } from '../../http/path/canonical-path.ts'
import type { Principal } from '../../identity/principal.ts'
import type { ResponseHandler } from '../../upstream/connection/messages.ts'

export interface TransformedRequest {
  readonly client: Pick<ClientSide, 'openBody'>
  readonly method: string
  readonly target: CanonicalPath
  readonly hasBody: boolean
  readonly principal: Principal | null
  readonly headers: RequestHeaders
  readonly limits: BodyLimits
  /** Longest pause of the upstream's answer, in milliseconds. */
  readonly idleMs: number
  /** Headers for the upstream, name and value in turns. The transform sets those that describe the
   *  body, except for its length. */
  readonly upstreamHeaders: string[]
}

export interface TransformedExchange {
  /** Null for a request without a body. */
  readonly body: Buffer | null
  /** Null: the answer streams through unchanged. */
  readonly answer: AnswerTransform | null
}

export const UNCHANGED_BODIES: TransformedExchange = { body: null, answer: null }

export interface AnswerTransform {
  /** Called for each try at the upstream. */
  wrap(inner: ResponseHandler): ResponseHandler
  /** The response is over. */
  release(): void
}

export interface BodyTransform {
  /** True: a request without a body passes untouched. */
  readonly needsBody: boolean
  /** Rejects with an ApiError for the client. */
  apply(request: TransformedRequest): Promise<TransformedExchange>
}
