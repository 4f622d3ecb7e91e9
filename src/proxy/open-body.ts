/** The body of a response that continues after its first bytes, on its way to the client. */
import type { Clock, Timer } from '../clock.ts'
import type { ClientSide, Drained } from '../http/client-side.ts'

export interface OpenBody {
  /** Sends the head and the first bytes.
   *  @param first Null when none have come. */
  start(first: Buffer | null): void
  /** False when the client is slower than the upstream: reading stops until it has caught up.
   *  The listener gives up on a client that never does.
   *  @param isBorrowed See {@link ClientSide.write}. */
  write(chunk: Buffer, isBorrowed: boolean): boolean
  /** The client has caught up. */
  drained(): void
  /** Ends the timers. May be called more than once. */
  close(): void
}

export interface TimedBodyDeps {
  readonly client: ClientSide
  readonly drained: Drained
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** Limit for a pause of the upstream. */
  readonly idleMs: number
  readonly onSilence: () => void
}

/** A body whose upstream may pause for a limited time. */
export class TimedBody implements OpenBody {
  readonly #deps: TimedBodyDeps
  #timer: Timer | undefined
  #isPaused = false

  constructor(deps: TimedBodyDeps) {
    this.#deps = deps
  }

  start(first: Buffer | null): void {
    const { client, clock, idleMs } = this.#deps
    this.#timer = clock.setTimeout(() => this.#onTimer(), idleMs)
    if (first === null) client.flush()
    else this.write(first, false)
  }

  write(chunk: Buffer, isBorrowed: boolean): boolean {
    this.#timer?.refresh()
    const { client, drained } = this.#deps
    if (client.write(chunk, isBorrowed, drained)) return true
    this.#isPaused = true
    return false
  }

  drained(): void {
    this.#isPaused = false
  }

  close(): void {
    this.#deps.clock.clearTimeout(this.#timer)
  }

  #onTimer(): void {
    // The client is slow, not the upstream.
    if (this.#isPaused) this.#timer?.refresh()
    else this.#deps.onSilence()
  }
}
