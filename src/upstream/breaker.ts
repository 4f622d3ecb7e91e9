/** The circuit breaker of a target: opens at a share of failures in a sliding window, then lets one
 *  trial request through at a time. */
import type { UpstreamConfig } from '../config/config.ts'

/** Parts of the window. Its oldest part is forgotten as a whole. */
const SLICES = 10

export type BreakerPolicy = Pick<
  NonNullable<UpstreamConfig['circuitBreaker']>,
  'failureRate' | 'minRequests' | 'window' | 'openFor'
>
export type BreakerPhase = 'closed' | 'open' | 'halfOpen'

/** Times are monotonic milliseconds. */
export class Breaker {
  readonly #policy: BreakerPolicy
  readonly #onChange: (phase: 'closed' | 'open') => void
  readonly #requests = new Uint32Array(SLICES)
  readonly #failures = new Uint32Array(SLICES)
  /** Number of the newest slice since the start of the clock. */
  #slice = 0
  #isClosed = true
  #openUntil = 0
  #hasTrial = false

  constructor(policy: BreakerPolicy, onChange: (phase: 'closed' | 'open') => void) {
    this.#policy = policy
    this.#onChange = onChange
  }

  phase(now: number): BreakerPhase {
    if (this.#isClosed) return 'closed'
    return now < this.#openUntil ? 'open' : 'halfOpen'
  }

  /** True when a request may start. */
  allows(now: number): boolean {
    return this.#isClosed || (now >= this.#openUntil && !this.#hasTrial)
  }

  /** A request starts. True for a trial: its end is reported by `trialEnded`, that of any other
   *  request by `ended`. */
  begin(): boolean {
    if (this.#isClosed) return false
    this.#hasTrial = true
    return true
  }

  ended(isFailure: boolean, now: number): void {
    // The request started before the breaker opened.
    if (!this.#isClosed) return
    const index = this.#sliceAt(now)
    this.#requests[index] = (this.#requests[index] ?? 0) + 1
    // Only a failure can open the breaker.
    if (!isFailure) return
    this.#failures[index] = (this.#failures[index] ?? 0) + 1
    const requests = sum(this.#requests)
    const { minRequests, failureRate } = this.#policy
    if (requests >= minRequests && sum(this.#failures) >= failureRate * requests) this.#open(now)
  }

  /** @param isFailure Null when the trial proved nothing, such as when its client left. */
  trialEnded(isFailure: boolean | null, now: number): void {
    this.#hasTrial = false
    if (isFailure === null) return
    if (isFailure) {
      this.#openUntil = now + this.#policy.openFor
      return
    }
    this.#isClosed = true
    this.#onChange('closed')
  }

  #open(now: number): void {
    this.#isClosed = false
    this.#openUntil = now + this.#policy.openFor
    this.#requests.fill(0)
    this.#failures.fill(0)
    this.#onChange('open')
  }

  #sliceAt(now: number): number {
    const slice = Math.floor((now * SLICES) / this.#policy.window)
    for (let passed = Math.min(SLICES, slice - this.#slice); passed > 0; passed--) {
      const index = (slice - passed + 1) % SLICES
      this.#requests[index] = 0
      this.#failures[index] = 0
    }
    this.#slice = slice
    return slice % SLICES
  }
}

function sum(counts: Uint32Array): number {
  let total = 0
  for (const count of counts) total += count
  return total
}
