/** One HTTP/1.1 connection to a target: sends a request at a time and reads its response. */
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import type { Clock, Timer } from '../../clock.ts'
import { ConnectionFault, codeOf } from '../failures.ts'
import type { Dialer } from './dial.ts'
import type { ResponseHandler, UpgradeHandler, UpstreamConnection, UpstreamRequest } from './messages.ts'
import { ReadBuffer, type ReadBuffers } from './read-buffer.ts'
import { formatRequestHead } from './request-head.ts'
import { ResponseParser, type ResponseSink } from './response-parser.ts'
import { Upload } from './upload.ts'

/** Bodies up to this size leave in one write with their head. */
const ONE_WRITE_BYTES = 16 * 1024
/** A server closes an idle connection earlier than it announces when both clocks differ. */
const KEEP_ALIVE_MARGIN_MS = 1_000

/** The pool of a connection. */
export interface ConnectionOwner {
  readonly dialer: Dialer
  readonly hostName: string
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly buffers: ReadBuffers
  /** The connection can take another request. */
  onIdle(connection: Connection): void
  onClosed(connection: Connection): void
}

export class Connection implements ResponseSink, UpstreamConnection {
  readonly openedAt: number
  /** Monotonic milliseconds: no use after this time. Set by the pool. */
  usableUntil = 0
  readonly #owner: ConnectionOwner
  readonly #parser: ResponseParser
  readonly #buffer: ReadBuffer | null
  readonly #socket: Socket
  #request: UpstreamRequest | null = null
  #handler: ResponseHandler | null = null
  /** Null for a connection whose response may not switch protocols. */
  readonly #upgrade: UpgradeHandler | null
  #isReady = false
  #isUsed = false
  #isPaused = false
  /** The current read filled its buffer: the kernel may have more bytes. */
  #isBufferFull = false
  #isClosed = false
  #hasHead = false
  #error: Error | null = null
  #upload: Upload | null = null
  #timer: Timer | undefined
  #timerMs = 0
  #switched: string[] | null = null

  /** Opens a connection for one request. Throws for options that Node refuses.
   *  @param upgrade Receives the socket after a 101. */
  constructor(owner: ConnectionOwner, upgrade: UpgradeHandler | null) {
    const { clock, dialer, buffers } = owner
    this.#owner = owner
    this.#upgrade = upgrade
    this.#parser = new ResponseParser(this)
    this.openedAt = clock.monotonic()
    const buffer = upgrade === null ? new ReadBuffer(buffers) : null
    this.#buffer = buffer
    const onread = buffer && {
      buffer: () => buffer.next(),
      callback: (size: number, bytes: Uint8Array) => this.#onRead(bytes as Buffer, size)
    }
    const socket = dialer.dial(onread)
    this.#socket = socket
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', this.#onClose)
    socket.on('end', this.#onEnd)
    if (buffer === null) socket.on('data', this.#onData)
    else socket.resume()
    socket.once(dialer.readyEvent, () => this.#onReady())
  }

  get hostName(): string {
    return this.#owner.hostName
  }

  /** Seconds that the server keeps the idle connection, as milliseconds; -1: not announced. */
  get announcedIdleMs(): number {
    const seconds = this.#parser.keepAliveSeconds
    return seconds < 0 ? -1 : Math.max(0, seconds * 1_000 - KEEP_ALIVE_MARGIN_MS)
  }

  /** Needs an idle or a new connection. */
  send(request: UpstreamRequest, handler: ResponseHandler): void {
    this.#request = request
    this.#handler = handler
    if (this.#isReady) this.#write()
    else this.#setTimer(this.#within(this.#owner.connectTimeoutMs))
  }

  abort(handler: ResponseHandler): void {
    if (this.#handler !== handler) return
    this.#handler = null
    this.destroy()
  }

  fail(handler: ResponseHandler, error: Error): void {
    if (this.#handler === handler) this.#fail(error)
  }

  resume(handler: ResponseHandler): void {
    if (this.#handler !== handler || !this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  /** Ends the connection at once. The handler of a request gets an error. */
  destroy(): void {
    this.#parser.stop()
    this.#stopUpload()
    this.#socket.destroy()
    this.#onClose()
  }

  onInformational(status: number, head: string[]): void {
    this.#handler?.onInformational(status, head)
  }

  onHead(status: number, head: string[]): void {
    this.#hasHead = true
    if (status === 101) this.#switched = head
    else this.#handler?.onHead(status, head)
  }

  onBody(chunk: Buffer): void {
    const bytes = this.#buffer === null ? chunk : this.#buffer.keep(chunk)
    if (this.#handler?.onData(bytes) === false) this.#isPaused = true
  }

  onComplete(isReusable: boolean): void {
    if (this.#switched !== null) return
    const handler = this.#handler
    this.#handler = null
    this.#request = null
    this.#isPaused = false
    this.#isUsed = true
    // With an upload, the server decided before it read the whole request. The rest would be
    // another request. With a full buffer, bytes behind the response may wait in the kernel. They
    // would be another response.
    const isInStep = isReusable && this.#upload === null && this.#upgrade === null && !this.#isBufferFull
    if (isInStep) this.#owner.onIdle(this)
    else this.destroy()
    if (handler === null) return
    try {
      handler.onEnd()
    } catch (error) {
      handler.onError(toError(error))
    }
  }

  #onReady(): void {
    if (this.#isClosed) return
    this.#isReady = true
    if (this.#handler !== null) this.#write()
  }

  #write(): void {
    const request = this.#request
    const handler = this.#handler
    if (request === null || handler === null) return
    const { body, responseTimeoutMs, method } = request
    this.#hasHead = false
    this.#parser.expect(method, this.#upgrade !== null)
    this.#setTimer(this.#within(responseTimeoutMs))
    let head: string
    try {
      head = formatRequestHead(request, this.#owner.hostName, this.#upgrade !== null)
    } catch (error) {
      // The caller is further up this stack.
      queueMicrotask(() => this.fail(handler, toError(error)))
      return
    }
    handler.onSent(this)
    if (body === null) this.#socket.write(head, 'latin1')
    else if (body instanceof Readable) this.#startUpload(head, body, request.bodyLength < 0)
    else if (body.length <= ONE_WRITE_BYTES) this.#socket.write(head + body.toString('latin1'), 'latin1')
    else {
      this.#socket.cork()
      this.#socket.write(head, 'latin1')
      this.#socket.write(body)
      this.#socket.uncork()
    }
  }

  #startUpload(head: string, body: Readable, isChunked: boolean): void {
    const socket = this.#socket
    socket.cork()
    socket.write(head, 'latin1')
    this.#upload = new Upload({
      socket,
      body,
      isChunked,
      onProgress: () => this.#timer?.refresh(),
      onEnd: () => {
        this.#upload = null
        this.#timer?.refresh()
      },
      onError: (error) => this.#fail(error)
    })
    // The first bytes of the body have usually arrived with the head.
    setImmediate(() => socket.uncork())
  }

  #stopUpload(): void {
    this.#upload?.stop()
    this.#upload = null
  }

  #onRead(bytes: Buffer, size: number): boolean {
    this.#isBufferFull = size === bytes.length
    const chunk = this.#isBufferFull ? bytes : bytes.subarray(0, size)
    this.#read(chunk)
    this.#buffer?.filled(size, this.#hasHead && this.#handler !== null)
    return !this.#isPaused
  }

  readonly #onData = (chunk: Buffer): void => {
    const used = this.#read(chunk)
    if (this.#switched !== null && !this.#isClosed) this.#handOver(this.#switched, chunk.subarray(used))
    else if (this.#isPaused) this.#socket.pause()
  }

  /** Returns the number of bytes read. */
  #read(chunk: Buffer): number {
    // A server that speaks unasked is out of step.
    if (this.#handler === null) {
      this.destroy()
      return 0
    }
    try {
      return this.#parser.read(chunk)
    } catch (error) {
      this.#fail(toError(error))
      return 0
    }
  }

  #handOver(head: string[], rest: Buffer): void {
    const socket = this.#socket
    const upgrade = this.#upgrade
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    this.#handler = null
    this.#clearTimer()
    try {
      upgrade?.onUpgrade(head, socket, rest)
    } catch (error) {
      socket.destroy()
      upgrade?.onError(toError(error))
    }
  }

  readonly #onEnd = (): void => {
    if (this.#handler === null) {
      this.destroy()
      return
    }
    try {
      this.#parser.end()
    } catch (error) {
      this.#fail(this.#parser.hasBegun ? toError(error) : this.#lost(null))
    }
  }

  readonly #onClose = (): void => {
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#clearTimer()
      this.#owner.onClosed(this)
    }
    if (this.#handler !== null && this.#socket.destroyed) this.#fail(this.#lost(this.#error))
  }

  #onTimer(): void {
    if (this.#handler === null) return
    if (!this.#isReady) this.#fail(new ConnectionFault('CONNECT_TIMEOUT'))
    else if (this.#hasHead) return
    // The client is slow, not the target.
    else if (this.#upload !== null && !this.#upload.isStalled) this.#timer?.refresh()
    else this.#fail(new ConnectionFault('RESPONSE_TIMEOUT'))
  }

  #lost(error: Error | null): Error {
    if (error !== null && !this.#isReady) return error
    const code = this.#parser.hasBegun ? 'TRUNCATED' : codeOf(error) || 'CLOSED'
    return new ConnectionFault(code, this.#isUsed)
  }

  #fail(error: Error): void {
    const handler = this.#handler
    this.#handler = null
    this.destroy()
    handler?.onError(error)
  }

  /** Milliseconds that the request may take, at most `ms`. */
  #within(ms: number): number {
    const deadlineAt = this.#request?.deadlineAt ?? Number.POSITIVE_INFINITY
    if (deadlineAt === Number.POSITIVE_INFINITY) return ms
    return Math.max(1, Math.min(ms, deadlineAt - this.#owner.clock.monotonic()))
  }

  /** The timer stays when a response arrives: the next request restarts it. */
  #setTimer(ms: number): void {
    if (this.#timer !== undefined && ms === this.#timerMs) {
      this.#timer.refresh()
      return
    }
    this.#clearTimer()
    if (ms === 0) return
    this.#timerMs = ms
    this.#timer = this.#owner.clock.setTimeout(() => this.#onTimer(), ms)
    this.#timer.unref()
  }

  #clearTimer(): void {
    this.#owner.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
