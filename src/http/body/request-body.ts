/** A request's body on its way upstream: counted, timed, and separate from the request, so that
 *  a failing upstream does not end the client's connection. */
import type { IncomingMessage } from 'node:http'
import { ApiError } from '../../errors.ts'
import type { BodyReceiver, StreamedBody } from './streamed-body.ts'

export const BODY_TOO_LARGE = new ApiError('body_too_large', 'The request body is larger than this route accepts.')
const BODY_TOO_SLOW = new ApiError('request_timeout', 'The request body stopped arriving.')
const CLIENT_LEFT = new ApiError('request_timeout', 'The client closed the connection before the end of its body.')

export interface BodyLimits {
  /** Bytes. */
  readonly limit: number
  /** Milliseconds without a byte. */
  readonly idle: number
}

export interface SourceReceiver {
  /** @param isBorrowed As for {@link BodyReceiver}. */
  onBodyData(chunk: Buffer, isBorrowed: boolean): void
  onBodyEnd(): void
  /** The client disconnected within the body. */
  onBodyLost(): void
}

/** The bytes of a body as they arrive. Paused until the first `resume`. */
export interface BodySource {
  readonly isPaused: boolean
  /** Hands the body to `receiver` from now on. */
  start(receiver: SourceReceiver): void
  /** Calls the receiver no more. */
  stop(): void
  pause(): void
  resume(): void
}

/** The body of a request that Node parses. */
export class MessageBody implements BodySource {
  readonly #message: IncomingMessage
  #receiver: SourceReceiver | null = null

  constructor(message: IncomingMessage) {
    this.#message = message
  }

  get isPaused(): boolean {
    return this.#message.isPaused()
  }

  start(receiver: SourceReceiver): void {
    this.#receiver = receiver
    // Before the listener of `data`, which starts a read: an empty body would end in it at once.
    this.#message.pause()
    this.#message.on('data', this.#onData)
    this.#message.on('end', this.#onEnd)
    this.#message.on('close', this.#onClose)
  }

  stop(): void {
    this.#receiver = null
    this.#message.off('data', this.#onData)
    this.#message.off('end', this.#onEnd)
    this.#message.off('close', this.#onClose)
  }

  pause(): void {
    this.#message.pause()
  }

  resume(): void {
    this.#message.resume()
  }

  readonly #onData = (chunk: Buffer) => this.#receiver?.onBodyData(chunk, false)
  readonly #onEnd = () => this.#receiver?.onBodyEnd()
  readonly #onClose = () => {
    if (!this.#message.complete) this.#receiver?.onBodyLost()
  }
}

export class RequestBody implements StreamedBody, SourceReceiver {
  readonly #source: BodySource
  readonly #limit: number
  readonly #timer: NodeJS.Timeout
  #receiver: BodyReceiver | null = null
  #received = 0
  #error: Error | null = null

  constructor(source: BodySource, { limit, idle }: BodyLimits) {
    this.#source = source
    this.#limit = limit
    this.#timer = setTimeout(this.#onIdle, idle)
    this.#timer.unref()
    source.start(this)
  }

  start(receiver: BodyReceiver): void {
    this.#receiver = receiver
    if (this.#error === null) this.#source.resume()
    else receiver.onBodyError(this.#error)
  }

  pause(): void {
    this.#source.pause()
  }

  resume(): void {
    this.#source.resume()
  }

  destroy(): void {
    this.#receiver = null
    clearTimeout(this.#timer)
    this.#source.stop()
  }

  onBodyData(chunk: Buffer, isBorrowed: boolean): void {
    this.#timer.refresh()
    this.#received += chunk.length
    if (this.#received > this.#limit) this.#fail(BODY_TOO_LARGE)
    else this.#receiver?.onBodyData(chunk, isBorrowed)
  }

  onBodyEnd(): void {
    const receiver = this.#receiver
    this.destroy()
    receiver?.onBodyEnd()
  }

  onBodyLost(): void {
    this.#fail(CLIENT_LEFT)
  }

  readonly #onIdle = () => {
    // The upstream is slow, not the client.
    if (this.#source.isPaused) this.#timer.refresh()
    else this.#fail(BODY_TOO_SLOW)
  }

  #fail(error: Error): void {
    const receiver = this.#receiver
    this.#error = error
    this.destroy()
    receiver?.onBodyError(error)
  }
}
