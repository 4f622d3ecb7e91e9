/** Reads the responses of one connection for the handlers of its requests. */
import type { OnReadOpts } from 'node:net'
import { ReadBuffer, type ReadBuffers } from '../../http/body/read-buffer.ts'
import type { ResponseHandler } from './messages.ts'
import { ResponseParser, type ResponseSink } from './response-parser.ts'

export interface ReaderOwner {
  /** Null after the request was given up. */
  readonly handler: ResponseHandler | null
  /** The response is complete.
   *  @param isInStep The next response starts with the next byte. */
  onResponseEnd(isInStep: boolean): void
}

export class ResponseReader implements ResponseSink {
  readonly #owner: ReaderOwner
  readonly #parser: ResponseParser
  /** Null: the socket emits its data. */
  readonly #buffer: ReadBuffer | null
  /** Data of a body from the current read, in one piece. */
  #data: Buffer | null = null
  /** The current read filled its buffer: the kernel may have more bytes. */
  #isBufferFull = false
  /** The handler still uses the bytes of the current read. */
  #isHeld = false
  #isPaused = false
  #hasHead = false
  #switched: string[] | null = null

  constructor(owner: ReaderOwner, buffers: ReadBuffers | null) {
    this.#owner = owner
    this.#parser = new ResponseParser(this)
    this.#buffer = buffers && new ReadBuffer(buffers)
  }

  /** Options of a socket that reads into the buffer.
   *  @param onBytes False: reading stops. */
  onread(onBytes: (chunk: Buffer) => boolean): OnReadOpts | null {
    const buffer = this.#buffer
    if (buffer === null) return null
    return {
      buffer: () => buffer.next(),
      callback: (size, bytes) => {
        this.#isBufferFull = size === bytes.length
        this.#isHeld = false
        const canGoOn = onBytes((this.#isBufferFull ? bytes : bytes.subarray(0, size)) as Buffer)
        buffer.filled(size, this.#hasHead && this.#owner.handler !== null, this.#isHeld)
        return canGoOn
      }
    }
  }

  /** A byte of the current response has come. */
  get hasBegun(): boolean {
    return this.#parser.hasBegun
  }

  get hasHead(): boolean {
    return this.#hasHead
  }

  /** The handler wants no more data for now. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  /** The head of a 101; null before. */
  get switched(): string[] | null {
    return this.#switched
  }

  get keepAliveSeconds(): number {
    return this.#parser.keepAliveSeconds
  }

  /** Call before each request. */
  expect(method: string, isUpgrade: boolean): void {
    this.#hasHead = false
    this.#isPaused = false
    this.#parser.expect(method, isUpgrade)
  }

  resume(): void {
    this.#isPaused = false
  }

  stop(): void {
    this.#parser.stop()
    this.#data = null
  }

  /** Returns the number of bytes read. Throws a ResponseFault, or the error of a handler. */
  read(chunk: Buffer): number {
    const offset = this.#parser.read(chunk)
    this.#deliver()
    return offset
  }

  /** The server sends nothing more. Throws a ResponseFault within a response. */
  end(): void {
    this.#parser.end()
  }

  onInformational(status: number, head: string[]): void {
    this.#owner.handler?.onInformational(status, head)
  }

  onHead(status: number, head: string[]): void {
    this.#hasHead = true
    if (status === 101) this.#switched = head
    else this.#owner.handler?.onHead(status, head)
  }

  onBody(chunk: Buffer): void {
    this.#data = this.#data === null ? chunk : joined(this.#data, chunk)
  }

  onComplete(isReusable: boolean): void {
    if (this.#switched !== null) return
    this.#deliver()
    // The handler may have ended the request with its last data.
    if (this.#owner.handler === null) return
    this.#isPaused = false
    // With a full buffer, bytes behind the response may wait in the kernel. They would be another
    // response.
    this.#owner.onResponseEnd(isReusable && !this.#isBufferFull)
  }

  /** Hands over the data of a read at once: a server may send chunks of a byte each. */
  #deliver(): void {
    const data = this.#data
    if (data === null) return
    this.#data = null
    const isBorrowed = this.#buffer?.isOwn === true
    const chunk = this.#buffer === null || isBorrowed ? data : Buffer.from(data)
    this.#isHeld = this.#owner.handler?.onData(chunk, isBorrowed) === false
    if (this.#isHeld) this.#isPaused = true
  }
}

/** Moves `next` to the end of `data`. Both are views of the same read, `data` in front. */
function joined(data: Buffer, next: Buffer): Buffer {
  const all = Buffer.from(data.buffer, data.byteOffset, data.length + next.length)
  all.set(next, data.length)
  return all
}
