/** The client side of one response: the part of the connection that a writer sees. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ApiError } from '../../errors.ts'
import type { GatewayRequest } from '../request.ts'
import { breakOff, formatHead, lingerOnClose, sendProblem } from './send-problem.ts'

export interface ClientResponse {
  /** A part of the response has been written. */
  readonly hasBegun: boolean
  /** The client has disconnected. */
  readonly isGone: boolean
  /** The response has ended and was handed over completely. */
  readonly isFinished: boolean
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
   *  @param isBorrowed The caller uses the chunk again after a result of true, or after `onDrain`. */
  write(chunk: Buffer, isBorrowed: boolean, drained: Drained): boolean
  end(chunk: Buffer | null): void
  /** Breaks off a half-written response so that it does not look complete. */
  abort(): void
  /** Answers with an error instead of a response. */
  refuse(error: ApiError, requestId: string): void
}

export interface Drained {
  onDrain(): void
}

/** Bodies up to this size are sent in one write with their head. */
const ONE_WRITE_BYTES = 16 * 1024

/** Writes to a connection of Node's HTTP server. */
export class NodeClientResponse implements ClientResponse {
  readonly #req: GatewayRequest
  readonly #res: ServerResponse
  #isLast = false
  #hasWritten = false

  constructor(req: GatewayRequest, res: ServerResponse) {
    this.#req = req
    this.#res = res
  }

  get hasBegun(): boolean {
    return this.#res.headersSent
  }

  get isGone(): boolean {
    return this.#res.destroyed
  }

  get isFinished(): boolean {
    return this.#res.writableFinished
  }

  last(): void {
    this.#isLast = true
  }

  head(status: number, headers: string[]): void {
    // A connection ends after a request whose body is not read completely.
    if (this.#isLast || !this.#req.complete) headers.push('connection', 'close')
    this.#res.writeHead(status, headers)
  }

  hint(headers: readonly string[]): void {
    const { socket } = this.#res
    if (this.#req.httpVersion !== '1.1' || socket === null || socket.writableLength > 0) return
    // No other response is being written: a connection serves one request at a time.
    socket.write(formatHead(103, headers), 'latin1')
  }

  flush(): void {
    this.#hasWritten = true
    this.#res.flushHeaders()
  }

  write(chunk: Buffer, isBorrowed: boolean, drained: Drained): boolean {
    this.#req.record?.sent(chunk.length)
    const { socket } = this.#res
    // ServerResponse adds the head to its first write, and holds each write until the next tick.
    const isDirect = this.#hasWritten && socket !== null && this.#res.writableLength === socket.writableLength
    this.#hasWritten = true
    const canGoOn = isDirect
      ? this.#writeDirectly(socket, chunk, isBorrowed)
      : this.#res.write(isBorrowed ? Buffer.from(chunk) : chunk)
    if (canGoOn) return true
    const writer = isDirect ? socket : this.#res
    writer.once('drain', () => drained.onDrain())
    return false
  }

  /** Writes a part of the body behind the head. True: nothing waits for the client. */
  #writeDirectly(socket: Socket, chunk: Buffer, isBorrowed: boolean): boolean {
    // A write of this size that the kernel does not take whole is followed by `drain`.
    const isKept = isBorrowed && (chunk.length < socket.writableHighWaterMark || 'encrypted' in socket)
    const bytes = isKept ? Buffer.from(chunk) : chunk
    if (!this.#res.chunkedEncoding) socket.write(bytes)
    else {
      socket.cork()
      socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
      socket.write(bytes)
      socket.write('\r\n', 'latin1')
      socket.uncork()
    }
    return socket.writableLength === 0 || !socket.writableNeedDrain
  }

  end(chunk: Buffer | null): void {
    const req = this.#req
    const res = this.#res
    // The answer came before the whole request. The rest of the request is read and dropped.
    if (!req.complete) lingerOnClose(req.socket)
    if (chunk !== null) req.record?.sent(chunk.length)
    if (chunk === null) res.end()
    // Node writes a head and a string in one write, a head and a buffer in two. Latin-1 keeps every
    // byte.
    else if (chunk.length <= ONE_WRITE_BYTES) res.end(chunk.toString('latin1'), 'latin1')
    else res.end(chunk)
  }

  abort(): void {
    // HTTP/1.0 has no chunks: an orderly end would look like the end of the body.
    if (this.#req.httpVersion === '1.0') breakOff(this.#req.socket)
    this.#res.destroy()
  }

  refuse(error: ApiError, requestId: string): void {
    sendProblem(this.#req, this.#res, error, requestId)
  }
}
