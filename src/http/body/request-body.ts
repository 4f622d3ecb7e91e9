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

export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  readonly #limit: number
  readonly #timer: NodeJS.Timeout
  #received = 0

  constructor(request: IncomingMessage, { limit, idle }: BodyLimits) {
    super()
    this.#request = request
    this.#limit = limit
    this.#timer = setTimeout(this.#onIdle, idle)
    this.#timer.unref()
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('close', this.#onClose)
    request.pause()
  }

  readonly #onIdle = () => {
    // The upstream is slow, not the client.
    if (this.#request.isPaused()) this.#timer.refresh()
    else this.destroy(BODY_TOO_SLOW)
  }

  readonly #onData = (chunk: Buffer) => {
    this.#timer.refresh()
    this.#received += chunk.length
    if (this.#received > this.#limit) this.destroy(BODY_TOO_LARGE)
    else if (!this.push(chunk)) this.#request.pause()
  }

  readonly #onEnd = () => {
    this.push(null)
  }

  readonly #onClose = () => {
    if (!this.#request.complete) this.destroy(CLIENT_LEFT)
  }

  override _read(): void {
    this.#request.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#timer)
    this.#request.off('data', this.#onData)
    this.#request.off('end', this.#onEnd)
    this.#request.off('close', this.#onClose)
    done(error)
  }
}
