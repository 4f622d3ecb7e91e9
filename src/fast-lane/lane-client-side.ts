/** The client's side of a request on the fast lane: writes the response to the socket itself. */
import type { ApiError } from '../errors.ts'
import { type Answer, closeSoon, formatHead, isWorthReading, problemAnswer } from '../http/answer/send-problem.ts'
import { type BodyLimits, RequestBody } from '../http/body/request-body.ts'
import { ONE_WRITE_BYTES, writeBody } from '../http/body/write-body.ts'
import type { ClientSide, Drained, UnderWay } from '../http/client-side.ts'
import { CLIENT_CLOSED_REQUEST, type RequestRecord } from '../http/record.ts'
import { latin1 } from '../http/wire/latin1.ts'
import type { OrdinaryHead } from './recogniser.ts'
import type { ArrivedBody, RequestConnection } from './request-connection.ts'

const EMPTY = Buffer.alloc(0)
const LAST_CHUNK = '0\r\n\r\n'

export class LaneClientSide implements ClientSide {
  readonly record: RequestRecord
  readonly #connection: RequestConnection
  readonly #body: ArrivedBody
  readonly #contentLength: number
  readonly #isHeadRequest: boolean
  /** The client asked for the end of the connection. */
  readonly #closes: boolean
  #work: UnderWay | null = null
  #closeListeners: (() => void)[] | null = null
  #answerHeaders: readonly string[] | null = null
  #drained: Drained | null = null
  /** The head, until it is written. */
  #head = ''
  #status = 0
  #hasBegun = false
  #hasBody = true
  #isChunked = false
  /** The gateway ends the connection. */
  #isLast = false
  #hasEnded = false
  #isOver = false

  constructor(connection: RequestConnection, record: RequestRecord, head: OrdinaryHead, body: ArrivedBody) {
    this.record = record
    this.#connection = connection
    this.#body = body
    this.#contentLength = head.contentLength
    this.#isHeadRequest = head.method === 'HEAD'
    this.#closes = head.isLast
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  get status(): number {
    return this.#status
  }

  get destroyed(): boolean {
    return this.#isOver || !this.#connection.socket.writable
  }

  endsWith(work: UnderWay): void {
    this.#work = work
  }

  onceClosed(listener: () => void): void {
    this.#closeListeners ??= []
    this.#closeListeners.push(listener)
  }

  openBody(limits: BodyLimits): Buffer | RequestBody {
    const body = this.#body
    return body === null ? EMPTY : Buffer.isBuffer(body) ? body : new RequestBody(body, limits)
  }

  answerWith(headers: readonly string[]): void {
    this.#answerHeaders = headers
  }

  last(): void {
    this.#isLast = true
  }

  head(status: number, headers: string[]): void {
    // A connection ends after a request whose body is not read completely.
    if (this.#isLast || this.#connection.isReading) headers.push('connection', 'close')
    this.#formatHead(status, headers)
  }

  hint(headers: readonly string[]): void {
    const { socket } = this.#connection
    if (socket.writable && socket.writableLength === 0) socket.write(formatHead(103, headers), 'latin1')
  }

  flush(): void {
    if (this.#head === '' || this.destroyed) return
    this.#connection.socket.write(this.#head, 'latin1')
    this.#head = ''
  }

  write(chunk: Buffer, isBorrowed: boolean, drained: Drained): boolean {
    this.record.sent(chunk.length)
    if (!this.#hasBody || this.destroyed) return true
    const { socket } = this.#connection
    const isChunked = this.#isChunked
    if (this.#head !== '' && chunk.length <= ONE_WRITE_BYTES) {
      socket.write(this.#withHead(chunk, isChunked ? '\r\n' : ''), 'latin1')
      if (!socket.writableNeedDrain) return true
    } else {
      this.flush()
      if (writeBody(socket, chunk, { isBorrowed, isChunked })) return true
    }
    this.#drained = drained
    this.#connection.onSlow()
    return false
  }

  end(chunk: Buffer | null): void {
    if (chunk !== null) this.record.sent(chunk.length)
    if (this.#hasEnded || this.destroyed) return
    this.#hasEnded = true
    this.#writeEnd(this.#hasBody ? chunk : null)
    this.#finish()
  }

  abort(): void {
    this.#connection.socket.destroy()
  }

  refuse(error: ApiError, requestId: string): void {
    if (this.#hasBegun || this.destroyed) {
      this.destroy()
      return
    }
    this.#answer(problemAnswer(error, requestId, this.#answerHeaders), this.#isWorthReading(error))
  }

  noContent(headers: string[]): void {
    this.#answer({ status: 204, headers, body: '' }, this.#isWorthReading(null))
  }

  fail(error: ApiError): void {
    this.#work?.onClientClose()
    this.record.refused(error.code)
    this.refuse(error, this.record.requestId)
  }

  destroy(): void {
    this.#connection.socket.destroy()
  }

  /** The client ended its side of the connection within the body. */
  brokenOff(error: ApiError): void {
    const { socket } = this.#connection
    if (!this.#hasBegun) {
      this.fail(error)
      return
    }
    this.#work?.onClientClose()
    // The client misses the bytes that were not written yet (RFC 9112, section 8).
    socket.end()
    closeSoon(socket)
  }

  /** The client has caught up. */
  onDrain(): void {
    const drained = this.#drained
    this.#drained = null
    if (this.#hasEnded) this.onOver()
    else drained?.onDrain()
  }

  /** The response has ended, or the client has disconnected. */
  onOver(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#work?.onClientClose()
    for (const listener of this.#closeListeners ?? []) listener()
    this.record.finished(this.#hasBegun ? this.#status : CLIENT_CLOSED_REQUEST)
    this.#connection.onRequestEnd()
  }

  #isWorthReading(error: ApiError | null): boolean {
    const hasEnded = this.#connection.socket.readableEnded
    return isWorthReading({ hasEnded, length: this.#contentLength }, error === null ? null : error.code)
  }

  #answer({ status, headers, body }: Answer, isRestRead: boolean): void {
    const bytes = Buffer.from(body)
    this.record.sent(bytes.length)
    if (this.#connection.isReading && !isRestRead) headers.push('connection', 'close')
    this.#formatHead(status, headers)
    this.#hasEnded = true
    this.#writeEnd(this.#hasBody && bytes.length > 0 ? bytes : null)
    this.#finish()
  }

  /** The next request waits until the client has read the response. */
  #finish(): void {
    this.#close()
    if (this.#connection.socket.writableNeedDrain) this.#connection.onSlow()
    else this.onOver()
  }

  #formatHead(status: number, headers: readonly string[]): void {
    const { head } = this.#connection
    this.#hasBody = !this.#isHeadRequest && status !== 204 && status !== 304
    head.format(status, headers, this.#hasBody, this.#closes)
    this.#hasBegun = true
    this.#status = status
    this.#head = head.text
    this.#isChunked = head.isChunked
    this.#isLast = head.isLast
  }

  /** The head and a part of the body, one character for each byte. */
  #withHead(chunk: Buffer, after: string): string {
    const size = this.#isChunked ? `${chunk.length.toString(16)}\r\n` : ''
    const text = this.#head + size + latin1(chunk, 0, chunk.length) + after
    this.#head = ''
    return text
  }

  #writeEnd(chunk: Buffer | null): void {
    const { socket } = this.#connection
    const rest = this.#isChunked ? LAST_CHUNK : ''
    if (chunk === null) {
      if (this.#head !== '' || rest !== '') socket.write(this.#head + rest, 'latin1')
    } else if (chunk.length <= ONE_WRITE_BYTES) {
      socket.write(this.#withHead(chunk, this.#isChunked ? `\r\n${rest}` : ''), 'latin1')
    } else {
      socket.cork()
      this.flush()
      writeBody(socket, chunk, { isBorrowed: false, isChunked: this.#isChunked })
      if (rest !== '') socket.write(rest, 'latin1')
      socket.uncork()
    }
    this.#head = ''
  }

  /** Ends the connection after its last response. A client that still sends must not reset it. */
  #close(): void {
    const connection = this.#connection
    if (!this.#isLast) return
    connection.onLast()
    if (connection.isReading) {
      connection.socket.end()
      closeSoon(connection.socket)
    } else connection.socket.destroySoon()
  }
}
