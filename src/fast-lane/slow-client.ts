/** Gives up a client that does not read its response. */
import type { Socket } from 'node:net'

/** Starts a timer only while the client is slower than the response. */
export class SlowClient {
  readonly #socket: Socket
  readonly #timeoutMs: number
  #isKnown = false

  /** @param timeoutMs Time without progress. */
  constructor(socket: Socket, timeoutMs: number) {
    this.#socket = socket
    this.#timeoutMs = timeoutMs
  }

  /** `drain` of the socket follows. */
  watch(): void {
    if (!this.#isKnown) this.#socket.on('timeout', this.#onTimeout)
    this.#isKnown = true
    this.#socket.setTimeout(this.#timeoutMs)
  }

  /** The client has caught up. */
  rest(): void {
    if (this.#isKnown) this.#socket.setTimeout(0)
  }

  /** The socket belongs to another server from now on. */
  leave(): void {
    if (this.#isKnown) this.#socket.off('timeout', this.#onTimeout)
  }

  readonly #onTimeout = (): void => {
    if (this.#socket.writableLength > 0) this.#socket.destroy()
  }
}
