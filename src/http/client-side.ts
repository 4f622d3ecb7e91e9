/** The client's side of one proxied request: its body, and the connection as the writer of its
 *  response sees it. Node's server and the fast lane implement it. */
import type { ApiError } from '../errors.ts'
import type { BodyLimits, RequestBody } from './body/request-body.ts'
import type { RequestRecord } from './record.ts'

/** Work that ends with a request's response. An object and not a closure: a closure per request
 *  outlives it by several collections (docs/decisions/0008). */
export interface UnderWay {
  /** The response is over: finished, or the client disconnected. */
  onClientClose(): void
}

export interface Drained {
  onDrain(): void
}

export interface ClientSide {
  /** Null for a refused request. */
  readonly record: RequestRecord | null
  /** A part of the response has been written. */
  readonly hasBegun: boolean
  /** Of the response; no meaning before it has begun. */
  readonly status: number
  /** The client has disconnected, or the response was broken off. */
  readonly destroyed: boolean
  /** Ends `work` with the response. */
  endsWith(work: UnderWay): void
  /** Calls `listener` once the response is over or the client has disconnected. */
  onceClosed(listener: () => void): void
  /** A complete body is a buffer. Call it once per try: an earlier stream must be destroyed. */
  openBody(limits: BodyLimits): Buffer | RequestBody
  /** Headers of the gateway's own answers to this request.
   *  @param headers Name and value in turns. */
  answerWith(headers: readonly string[]): void
  /** Ends the connection after this response. Call it before `head`. */
  last(): void
  /** Throws when the head cannot be written. It is sent with the next write or `flush`.
   *  @param headers Name and value in turns. May be changed. */
  head(status: number, headers: string[]): void
  /** Sends 103 Early Hints to a client that may support them; drops them while the client is
   *  slow.
   *  @param headers Name and value in turns. */
  hint(headers: readonly string[]): void
  flush(): void
  /** False when the client is slower than the writer; `drained.onDrain` is called once it has
   *  caught up.
   *  @param isBorrowed The caller uses the chunk again after a result of true, or after
   *  `onDrain`. */
  write(chunk: Buffer, isBorrowed: boolean, drained: Drained): boolean
  end(chunk: Buffer | null): void
  /** Breaks off a half-written response so that it does not look complete. */
  abort(): void
  /** Answers with an error instead of a response. */
  refuse(error: ApiError, requestId: string): void
  /** Answers with 204.
   *  @param headers Name and value in turns. */
  noContent(headers: string[]): void
  /** Ends the work under way, and answers with its error. */
  fail(error: ApiError): void
  destroy(): unknown
}
