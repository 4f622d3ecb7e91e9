/** The one timer of a connection: for connecting, then for each response head. */
import type { Clock, Timer } from '../../clock.ts'

export class RequestTimer {
  readonly #clock: Clock
  readonly #onTimeout: () => void
  #timer: Timer | undefined
  /** Monotonic milliseconds of the running timer; Infinity without one. */
  #firesAt = Number.POSITIVE_INFINITY
  /** Monotonic milliseconds of the timeout. Later than the timer: a request moves a number, and the
   *  timer is set again when it fires. */
  #dueAt = Number.POSITIVE_INFINITY
  #ms = Number.POSITIVE_INFINITY

  constructor(clock: Clock, onTimeout: () => void) {
    this.#clock = clock
    this.#onTimeout = onTimeout
  }

  /** Starts again.
   *  @param ms 0: no limit.
   *  @param deadlineAt Monotonic milliseconds.
   *  @param now Monotonic milliseconds. */
  start(ms: number, deadlineAt: number, now: number): void {
    const limit = ms === 0 ? Number.POSITIVE_INFINITY : ms
    this.#ms = Math.max(1, Math.min(limit, deadlineAt - now))
    this.#setDue(now)
  }

  /** The request made progress. */
  refresh(): void {
    this.#setDue(this.#clock.monotonic())
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#firesAt = Number.POSITIVE_INFINITY
    this.#dueAt = Number.POSITIVE_INFINITY
  }

  #setDue(now: number): void {
    this.#dueAt = now + this.#ms
    if (this.#dueAt < this.#firesAt) this.#setTimer(now)
  }

  #setTimer(now: number): void {
    this.#clock.clearTimeout(this.#timer)
    this.#firesAt = this.#dueAt
    this.#timer = this.#clock.setTimeout(this.#onFire, this.#dueAt - now)
    this.#timer.unref()
  }

  readonly #onFire = (): void => {
    const now = this.#clock.monotonic()
    this.#timer = undefined
    this.#firesAt = Number.POSITIVE_INFINITY
    if (this.#dueAt <= now) this.#onTimeout()
    else if (this.#dueAt < Number.POSITIVE_INFINITY) this.#setTimer(now)
  }
}
