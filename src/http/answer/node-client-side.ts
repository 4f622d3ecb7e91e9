/** The client's side of a request on a connection of Node's HTTP server. */
import type { ServerResponse } from 'node:http'
import type { ApiError } from '../../errors.ts'
import { type BodyLimits, MessageBody, RequestBody } from '../body/request-body.ts'
import { ONE_WRITE_BYTES, writeBody } from '../body/write-body.ts'
import type { ClientSide, Drained, UnderWay } from '../client-side.ts'
import type { RequestRecord } from '../record.ts'
import type { GatewayRequest } from '../request.ts'
import { breakOff, formatHead, lingerOnClose, sendNoContent, sendProblem } from './send-problem.ts'

export class NodeClientSide implements ClientSide {
  readonly #req: GatewayRequest
  readonly #res: ServerResponse
  #isLast = false
  #hasWritten = false

  constructor(res: ServerResponse) {
    this.#req = res.req as GatewayRequest
    this.#res = res
  }

  get record(): RequestRecord | null {
    return this.#req.record
  }

  get hasBegun(): boolean {
    return this.#res.headersSent
  }

  get status(): number {
    return this.#res.statusCode
  }

  get destroyed(): boolean {
    return this.#res.destroyed
  }

  endsWith(work: UnderWay): void {
    this.#req.underWay = work
  }

  onceClosed(listener: () => void): void {
    this.#res.once('close', listener)
  }

  openBody(limits: BodyLimits): RequestBody {
    return new RequestBody(new MessageBody(this.#req), limits)
  }

  answerWith(headers: readonly string[]): void {
    this.#req.answerHeaders = headers
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
      ? writeBody(socket, chunk, { isBorrowed, isChunked: this.#res.chunkedEncoding })
      : this.#res.write(isBorrowed ? Buffer.from(chunk) : chunk)
    if (canGoOn) return true
    const writer = isDirect ? socket : this.#res
    writer.once('drain', () => drained.onDrain())
    return false
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

  noContent(headers: string[]): void {
    sendNoContent(this.#req, this.#res, headers)
  }

  fail(error: ApiError): void {
    const { underWay, record } = this.#req
    underWay?.onClientClose()
    record?.refused(error.code)
    this.refuse(error, record?.requestId ?? '')
  }

  destroy(): void {
    this.#res.destroy()
  }
}
