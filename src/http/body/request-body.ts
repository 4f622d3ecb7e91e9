/** A request's body on its way upstream: counted, timed, and separate from the request, so that
 *  a failing upstream does not end the client's connection. */
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { ApiError } from '../../errors.ts'

export const BODY_TOO_LARGE = new ApiError('body_too_large', 'The request body is larger than this route accepts.')
const BODY_TOO_SLOW = new ApiError('request_timeout', 'The request body stopped arriving.')
const CLIENT_LEFT = new ApiError('request_timeout', 'The client closed the connection before the end of its body.')

export interface BodyLimits {
  /** Bytes. */
  readonly limit: number
  /** Milliseconds without a byte. */
  readonly idle: number
}

export interface BodyReceiver {
  onBodyData(chunk: Buffer): void
  onBodyEnd(): void
  /** The client disconnected within the body. */
  onBodyLost(): void
}

/** The bytes of a body as they arrive. Paused until the first `resume`. */
export interface BodySource {
  readonly isPaused: boolean
  /** Hands the body to `receiver` from now on. */
  start(receiver: BodyReceiver): void
  /** Calls the receiver no more. */
  stop(): void
  pause(): void
  resume(): void
}

/** The body of a request that Node parses. */
export class MessageBody implements BodySource {
  readonly #message: IncomingMessage
  #receiver: BodyReceiver | null = null

  constructor(message: IncomingMessage) {
    this.#message = message
  }

  get isPaused(): boolean {
    return this.#message.isPaused()
  }

  start(receiver: BodyReceiver): void {
    this.#receiver = receiver
    this.#message.on('data', this.#onData)
    this.#message.on('end', this.#onEnd)
    this.#message.on('close', this.#onClose)
    this.#message.pause()
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

  readonly #onData = (chunk: Buffer) => this.#receiver?.onBodyData(chunk)
  readonly #onEnd = () => this.#receiver?.onBodyEnd()
  readonly #onClose = () => {
    if (!this.#message.complete) this.#receiver?.onBodyLost()
  }
}

export class RequestBody extends Readable implements BodyReceiver {
  readonly #source: BodySource
  readonly #limit: number
  readonly #timer: NodeJS.Timeout
  #received = 0

  constructor(source: BodySource, { limit, idle }: BodyLimits) {
    super()
    this.#source = source
    this.#limit = limit
    this.#timer = setTimeout(this.#onIdle, idle)
    this.#timer.unref()
    source.start(this)
  }

  readonly #onIdle = () => {
    // The upstream is slow, not the client.
    if (this.#source.isPaused) this.#timer.refresh()
    else this.destroy(BODY_TOO_SLOW)
  }

  onBodyData(chunk: Buffer): void {
    this.#timer.refresh()
    this.#received += chunk.length
    if (this.#received > this.#limit) this.destroy(BODY_TOO_LARGE)
    else if (!this.push(chunk)) this.#source.pause()
  }

  onBodyEnd(): void {
    this.push(null)
  }

  onBodyLost(): void {
    this.destroy(CLIENT_LEFT)
  }

  override _read(): void {
    this.#source.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#source.stop()
    done(error)
  }
}
