/** One HTTP/1.1 connection to a target: sends a request at a time and reads its response. */
import type { Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import type { ReadBuffers } from '../../http/body/read-buffer.ts'
import { ConnectionFault, codeOf } from '../failures.ts'
import type { Dialer } from './dial.ts'
import type { ResponseHandler, UpgradeHandler, UpstreamConnection, UpstreamRequest } from './messages.ts'
import { RequestTimer } from './request-timer.ts'
import { RequestWriter } from './request-writer.ts'
import { type ReaderOwner, ResponseReader } from './response-reader.ts'

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

export class Connection implements ReaderOwner, UpstreamConnection {
  readonly openedAt: number
  /** Monotonic milliseconds: no use after this time. Set by the pool. */
  usableUntil = 0
  readonly #owner: ConnectionOwner
  readonly #reader: ResponseReader
  readonly #socket: Socket
  readonly #writer: RequestWriter
  readonly #timer: RequestTimer
  #request: UpstreamRequest | null = null
  #handler: ResponseHandler | null = null
  /** Null for a connection whose response may not switch protocols. */
  readonly #upgrade: UpgradeHandler | null
  #isReady = false
  #isUsed = false
  #isClosed = false
  #error: Error | null = null

  /** Opens a connection for one request. Throws for options that Node refuses.
   *  @param upgrade Receives the socket after a 101. */
  constructor(owner: ConnectionOwner, upgrade: UpgradeHandler | null) {
    const { clock, dialer, buffers } = owner
    this.#owner = owner
    this.#upgrade = upgrade
    this.openedAt = clock.monotonic()
    this.#reader = new ResponseReader(this, upgrade === null ? buffers : null)
    const onread = this.#reader.onread((chunk) => {
      this.#read(chunk)
      return !this.#reader.isPaused
    })
    const socket = dialer.dial(onread)
    this.#socket = socket
    this.#timer = new RequestTimer(clock, () => this.#onTimeout())
    this.#writer = new RequestWriter(socket, owner.hostName, {
      onProgress: () => this.#timer.refresh(),
      onBodyError: (error) => this.#fail(error)
    })
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', this.#onClose)
    socket.on('end', this.#onEnd)
    if (onread === null) socket.on('data', this.#onData)
    else socket.resume()
    socket.once(dialer.readyEvent, () => this.#onReady())
  }

  /** Seconds that the server keeps the connection when it is idle; -1: not announced. */
  get keepAliveSeconds(): number {
    return this.#reader.keepAliveSeconds
  }

  /** Of the request under way. */
  get handler(): ResponseHandler | null {
    return this.#handler
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** Needs an idle or a new connection.
   *  @param now Monotonic milliseconds. */
  send(request: UpstreamRequest, handler: ResponseHandler, now: number): void {
    this.#request = request
    this.#handler = handler
    if (this.#isReady) this.#write(now)
    else this.#timer.start(this.#owner.connectTimeoutMs, request.deadlineAt, now)
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
    if (this.#handler !== handler || !this.#reader.isPaused) return
    this.#reader.resume()
    this.#socket.resume()
  }

  /** Ends the connection at once. The handler of a request gets an error. */
  destroy(): void {
    this.#reader.stop()
    this.#writer.stop()
    this.#socket.destroy()
    this.#onClose()
  }

  onResponseEnd(isInStep: boolean): void {
    const handler = this.#handler
    this.#handler = null
    this.#request = null
    this.#isUsed = true
    // With an upload, the server decided before it read the whole request. The rest would be
    // another request.
    if (!isInStep || this.#writer.isUploading || this.#upgrade !== null) this.destroy()
    // Node hands over one TLS record at a time: bytes in the next one would be another response.
    else if (this.#owner.dialer.readyEvent === 'secureConnect') setImmediate(this.#becomeIdle)
    else this.#owner.onIdle(this)
    if (handler === null) return
    try {
      handler.onEnd()
    } catch (error) {
      handler.onError(toError(error))
    }
  }

  readonly #becomeIdle = (): void => {
    if (!this.#isClosed) this.#owner.onIdle(this)
  }

  #onReady(): void {
    if (this.#isClosed) return
    this.#isReady = true
    if (this.#handler !== null) this.#write(this.#owner.clock.monotonic())
  }

  #write(now: number): void {
    const request = this.#request
    const handler = this.#handler
    if (request === null || handler === null) return
    this.#reader.expect(request.method, this.#upgrade !== null)
    this.#timer.start(request.responseTimeoutMs, request.deadlineAt, now)
    try {
      this.#writer.write(request, this.#upgrade !== null)
      handler.onSent(this)
    } catch (error) {
      // Deferred: the caller of send() does not hold the connection yet.
      queueMicrotask(() => this.fail(handler, toError(error)))
    }
  }

  readonly #onData = (chunk: Buffer): void => {
    const used = this.#read(chunk)
    const { switched, isPaused } = this.#reader
    if (switched !== null && !this.#isClosed) this.#handOver(switched, chunk.subarray(used))
    else if (isPaused) this.#socket.pause()
  }

  /** Returns the number of bytes read. */
  #read(chunk: Buffer): number {
    // Bytes without a request: the position in the stream is unknown.
    if (this.#handler === null) {
      this.destroy()
      return 0
    }
    try {
      return this.#reader.read(chunk)
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
    this.#timer.clear()
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
      this.#reader.end()
    } catch (error) {
      this.#fail(this.#reader.hasBegun ? toError(error) : this.#lost(null))
    }
  }

  readonly #onClose = (): void => {
    if (!this.#isClosed) {
      this.#isClosed = true
      this.#timer.clear()
      this.#owner.onClosed(this)
    }
    if (this.#handler !== null && this.#socket.destroyed) this.#fail(this.#lost(this.#error))
  }

  #onTimeout(): void {
    if (this.#handler === null) return
    if (!this.#isReady) this.#fail(new ConnectionFault('CONNECT_TIMEOUT'))
    else if (this.#reader.hasHead) return
    // The client is slow, not the target.
    else if (this.#writer.isUploading && !this.#writer.isStalled) this.#timer.refresh()
    else this.#fail(new ConnectionFault('RESPONSE_TIMEOUT'))
  }

  #lost(error: Error | null): Error {
    if (error !== null && !this.#isReady) return error
    const code = this.#reader.hasBegun ? 'TRUNCATED' : codeOf(error) || 'CLOSED'
    return new ConnectionFault(code, this.#isUsed)
  }

  #fail(error: Error): void {
    const handler = this.#handler
    this.#handler = null
    this.destroy()
    handler?.onError(error)
  }
}

export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
