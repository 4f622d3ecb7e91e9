/** Requests to an upstream, and the receivers of their responses. */
import type { Socket } from 'node:net'
import type { StreamedBody } from '../../http/body/streamed-body.ts'
import type { OwnLines } from '../../http/headers/header-lines.ts'

export interface UpstreamRequest {
  readonly method: string
  /** Origin form: path and query. */
  readonly path: string
  /** Value of Host; null: the target's own. */
  readonly host: string | null
  /** Name and value in turns, each byte as one character. Host, Connection, Content-Length and
   *  Transfer-Encoding are added. */
  readonly headers: readonly string[]
  /** Lines behind these headers. */
  readonly own: OwnLines
  /** A streamed one is read once the connection is open. */
  readonly body: Buffer | StreamedBody | null
  /** Bytes of the body; -1: unknown, the body is sent in chunks. */
  readonly bodyLength: number
  /** Milliseconds from the last byte of the request to the head of the response. */
  readonly responseTimeoutMs: number
  /** Monotonic milliseconds: no response head is accepted after this time; Infinity: no limit. The
   *  time of an upload does not count. */
  readonly deadlineAt: number
}

/** Receives one response. A throw of a method ends the connection and is handed to `onError`. */
export interface ResponseHandler {
  /** A connection takes the request: from now on the target may act on it. */
  onSent(connection: UpstreamConnection): void
  /** A 1xx other than 101. */
  onInformational(status: number, head: string[]): void
  /** @param head Name and value in turns, each byte as one character. */
  onHead(status: number, head: string[]): void
  /** False: reading stops until `resume`.
   *  @param isBorrowed The chunk may be used until this method returns true, or until `resume`
   *  after it returned false. A chunk that is not borrowed belongs to the receiver. */
  onData(chunk: Buffer, isBorrowed: boolean): boolean
  onEnd(): void
  /** Called at most once, and nothing after it. */
  onError(error: Error): void
}

export interface UpgradeHandler extends ResponseHandler {
  /** The server switched protocols. The socket belongs to the receiver.
   *  @param rest Bytes behind the head. */
  onUpgrade(head: string[], socket: Socket, rest: Buffer): void
}

/** A connection as its current request uses it. A call with the handler of an earlier request has
 *  no effect. */
export interface UpstreamConnection {
  /** Ends the request without a further call of its handler. */
  abort(handler: ResponseHandler): void
  /** Ends the request with an error for its handler. */
  fail(handler: ResponseHandler, error: Error): void
  /** Continues to read after an `onData` that returned false. */
  resume(handler: ResponseHandler): void
}
