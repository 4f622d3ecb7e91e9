/** Forwards the answer of an upstream that refused a WebSocket handshake. */
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import { breakOff, closeSoon, formatHead } from '../http/answer/send-problem.ts'

export interface RefusalOptions {
  readonly socket: Duplex
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** Longest pause of the upstream. */
  readonly idleMs: number
  /** The client has caught up after a `write` that returned false. */
  readonly onDrain: () => void
  readonly onSilence: () => void
}

/** Without a length, the end of the connection ends the body (RFC 9112, section 6.3). */
export class Refusal {
  readonly #options: RefusalOptions
  #timer: Timer | undefined
  #isPaused = false

  constructor(options: RefusalOptions) {
    this.#options = options
  }

  /** @param headers Name and value in turns. */
  start(status: number, headers: readonly string[]): void {
    const { socket, clock, idleMs, onSilence } = this.#options
    this.#timer = clock.setTimeout(() => {
      // The client is slow, not the upstream.
      if (this.#isPaused) this.#timer?.refresh()
      else onSilence()
    }, idleMs)
    socket.write(formatHead(status, ['Connection', 'close', ...headers]), 'latin1')
  }

  /** False when the client is slower than the upstream. */
  write(chunk: Buffer): boolean {
    const { socket, onDrain } = this.#options
    this.#timer?.refresh()
    if (socket.write(chunk)) return true
    this.#isPaused = true
    socket.once('drain', () => {
      this.#isPaused = false
      onDrain()
    })
    return false
  }

  end(): void {
    this.close()
    this.#options.socket.end()
    closeSoon(this.#options.socket)
  }

  /** Half a response must not look complete. */
  breakOff(): void {
    this.close()
    breakOff(this.#options.socket)
  }

  /** Ends the timer. */
  close(): void {
    this.#options.clock.clearTimeout(this.#timer)
  }
}
