/** The one timer of a connection: for connecting, then for each response head. */
import type { Clock, Timer } from '../../clock.ts'

export class RequestTimer {
  readonly #clock: Clock
  readonly #onTimeout: () => void
  #timer: Timer | undefined
  #ms = 0

  constructor(clock: Clock, onTimeout: () => void) {
    this.#clock = clock
    this.#onTimeout = onTimeout
  }

  /** Starts again. It keeps running when a response arrives: the next request restarts it, which
   *  costs less than a timer for each request.
   *  @param ms 0: no limit.
   *  @param deadlineAt Monotonic milliseconds. */
  start(ms: number, deadlineAt: number): void {
    const within = deadlineAt === Number.POSITIVE_INFINITY ? ms : this.#until(deadlineAt, ms)
    if (this.#timer !== undefined && within === this.#ms) {
      this.#timer.refresh()
      return
    }
    this.clear()
    if (within === 0) return
    this.#ms = within
    this.#timer = this.#clock.setTimeout(this.#onTimeout, within)
    this.#timer.unref()
  }

  /** The request made progress. */
  refresh(): void {
    this.#timer?.refresh()
  }

  clear(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #until(deadlineAt: number, ms: number): number {
    const left = Math.max(1, deadlineAt - this.#clock.monotonic())
    return ms === 0 ? left : Math.min(ms, left)
  }
}
