/** One HTTP/1.1 connection to a target: sends a request at a time and reads its response. */
import type { Socket } from 'node:net'
import type { Clock } from '../../clock.ts'
import { ConnectionFault, codeOf } from '../failures.ts'
import type { Dialer } from './dial.ts'
import type { ResponseHandler, UpgradeHandler, UpstreamConnection, UpstreamRequest } from './messages.ts'
import { ReadBuffer, type ReadBuffers } from './read-buffer.ts'
import { RequestTimer } from './request-timer.ts'
import { RequestWriter } from './request-writer.ts'
import { ResponseParser, type ResponseSink } from './response-parser.ts'

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
  readonly #writer: RequestWriter
  readonly #timer: RequestTimer
  #request: UpstreamRequest | null = null
  #handler: ResponseHandler | null = null
  /** Null for a connection whose response may not switch protocols. */
  readonly #upgrade: UpgradeHandler | null
  #isReady = false
  #isUsed = false
  #isPaused = false
  /** The receiver still uses the bytes of the current read. */
  #isHeld = false
  /** The current read filled its buffer: the kernel may have more bytes. */
  #isBufferFull = false
  /** Data of a body from the current read, in one piece. */
  #data: Buffer | null = null
  #isClosed = false
  #hasHead = false
  #error: Error | null = null
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
    if (buffer === null) socket.on('data', this.#onData)
    else socket.resume()
    socket.once(dialer.readyEvent, () => this.#onReady())
  }

  /** Seconds that the server keeps the connection when it is idle; -1: not announced. */
  get keepAliveSeconds(): number {
    return this.#parser.keepAliveSeconds
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed
  }

  /** Needs an idle or a new connection. */
  send(request: UpstreamRequest, handler: ResponseHandler): void {
    this.#request = request
    this.#handler = handler
    if (this.#isReady) this.#write()
    else this.#timer.start(this.#owner.connectTimeoutMs, request.deadlineAt)
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
    this.#writer.stop()
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
    this.#data = this.#data === null ? chunk : joined(this.#data, chunk)
  }

  /** Hands over the data of a read at once: a server may send chunks of a byte each. */
  #deliver(): void {
    const data = this.#data
    if (data === null) return
    this.#data = null
    const isBorrowed = this.#buffer?.isOwn === true
    const chunk = this.#buffer === null || isBorrowed ? data : Buffer.from(data)
    this.#isHeld = this.#handler?.onData(chunk, isBorrowed) === false
    if (this.#isHeld) this.#isPaused = true
  }

  onComplete(isReusable: boolean): void {
    if (this.#switched !== null) return
    this.#deliver()
    // The handler may have ended the request with its last data.
    if (this.#isClosed) return
    const handler = this.#handler
    this.#handler = null
    this.#request = null
    this.#isPaused = false
    this.#isUsed = true
    // With an upload, the server decided before it read the whole request. The rest would be
    // another request. With a full buffer, bytes behind the response may wait in the kernel. They
    // would be another response.
    const isInStep = isReusable && !this.#writer.isUploading && this.#upgrade === null && !this.#isBufferFull
    if (!isInStep) this.destroy()
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
    if (this.#handler !== null) this.#write()
  }

  #write(): void {
    const request = this.#request
    const handler = this.#handler
    if (request === null || handler === null) return
    this.#hasHead = false
    this.#parser.expect(request.method, this.#upgrade !== null)
    this.#timer.start(request.responseTimeoutMs, request.deadlineAt)
    try {
      this.#writer.write(request, this.#upgrade !== null)
      handler.onSent(this)
    } catch (error) {
      // The caller is further up this stack.
      queueMicrotask(() => this.fail(handler, toError(error)))
    }
  }

  #onRead(bytes: Buffer, size: number): boolean {
    this.#isBufferFull = size === bytes.length
    const chunk = this.#isBufferFull ? bytes : bytes.subarray(0, size)
    this.#isHeld = false
    this.#read(chunk)
    this.#buffer?.filled(size, this.#hasHead && this.#handler !== null, this.#isHeld)
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
      const offset = this.#parser.read(chunk)
      this.#deliver()
      return offset
    } catch (error) {
      this.#data = null
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
      this.#parser.end()
    } catch (error) {
      this.#fail(this.#parser.hasBegun ? toError(error) : this.#lost(null))
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
    else if (this.#hasHead) return
    // The client is slow, not the target.
    else if (this.#writer.isUploading && !this.#writer.isStalled) this.#timer.refresh()
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
}

/** Moves `next` to the end of `data`. Both are views of the same read, `data` in front. */
function joined(data: Buffer, next: Buffer): Buffer {
  const all = Buffer.from(data.buffer, data.byteOffset, data.length + next.length)
  all.set(next, data.length)
  return all
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
