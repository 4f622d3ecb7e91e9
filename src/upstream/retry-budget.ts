/** Limits the retries of an upstream to a share of its requests under way: an upstream in trouble
 *  does not get its load twice. */

/** Retries a second beyond the share, so that few requests can be repeated too. */
const ALWAYS_ALLOWED = 3

export class RetryBudget {
  /** Retries under way. */
  #running = 0
  #tokens = ALWAYS_ALLOWED
  #filledAt = 0

  /** True when one more retry may start.
   *  @param allowed Retries under way that the share allows.
   *  @param now Monotonic milliseconds. */
  allows(allowed: number, now: number): boolean {
    if (this.#running < allowed) return true
    const filled = this.#tokens + ((now - this.#filledAt) / 1000) * ALWAYS_ALLOWED
    this.#tokens = Math.min(ALWAYS_ALLOWED, filled)
    this.#filledAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }

  started(): void {
    this.#running++
  }

  ended(): void {
    this.#running--
  }
}
