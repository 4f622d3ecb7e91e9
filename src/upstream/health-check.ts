/** Tests one target at intervals. A target that was never tested is healthy, and its first answer
 *  decides alone. */
import type { Clock, Timer } from '../clock.ts'
import type { HealthCheckConfig } from '../config/config.ts'

/** Share of the interval by which two tests vary: gateways do not test in step. */
const JITTER = 0.1

export interface HealthCheckOptions {
  readonly config: HealthCheckConfig
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** The verdict of an earlier check of the target. */
  readonly isHealthy: boolean
  /** Calls `done` once, with the status of the answer, or with a word for its absence. */
  readonly ask: (done: (result: number | string) => void) => void
  /** @param result The last one, as a word for the log. */
  readonly onChange: (isHealthy: boolean, result: string) => void
}

export class HealthCheck {
  readonly #options: HealthCheckOptions
  #isHealthy: boolean
  #isFirst = true
  /** Results in a row that speak against the verdict. */
  #streak = 0
  #timer: Timer | undefined
  #isStopped = false

  constructor(options: HealthCheckOptions) {
    this.#options = options
    this.#isHealthy = options.isHealthy
  }

  get isHealthy(): boolean {
    return this.#isHealthy
  }

  /** The first test is sent at once. A check that runs goes on. */
  start(): void {
    if (this.#timer === undefined) this.#plan(0)
  }

  stop(): void {
    this.#isStopped = true
    this.#options.clock.clearTimeout(this.#timer)
  }

  #plan(ms: number): void {
    if (this.#isStopped) return
    this.#timer = this.#options.clock.setTimeout(() => this.#ask(), ms)
    this.#timer.unref()
  }

  #ask(): void {
    const { config, ask } = this.#options
    ask((result) => {
      if (this.#isStopped) return
      this.#settle(result)
      this.#plan(config.interval * (1 - JITTER + 2 * JITTER * Math.random()))
    })
  }

  #settle(result: number | string): void {
    const { statuses, healthyAfter, unhealthyAfter } = this.#options.config
    const isGood = typeof result === 'number' && statuses.some(({ from, to }) => result >= from && result <= to)
    const isFirst = this.#isFirst
    this.#isFirst = false
    if (isGood === this.#isHealthy) {
      this.#streak = 0
      return
    }
    this.#streak++
    if (!isFirst && this.#streak < (isGood ? healthyAfter : unhealthyAfter)) return
    this.#streak = 0
    this.#isHealthy = isGood
    this.#options.onChange(isGood, String(result))
  }
}
