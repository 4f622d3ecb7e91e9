/** Writes the changes of targets to the log, each once. */
import type { Clock, Timer } from '../clock.ts'
import type { TargetState } from './target-state.ts'

export interface TargetNames {
  readonly upstream: string
  /** host:port, or the path of a socket. */
  readonly target: string
}

export interface TargetLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

export class TargetEvents {
  readonly #clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly #log: TargetLog
  /** Ends of ejections. */
  readonly #timers = new Map<TargetState, Timer>()

  constructor(clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>, log: TargetLog) {
    this.#clock = clock
    this.#log = log
  }

  /** @param result The last one of the health check: a status, or a word. */
  healthChanged(names: TargetNames, isHealthy: boolean, result: string): void {
    const fields = { ...names, result }
    if (isHealthy) this.#log.info({ event: 'target_healthy', ...fields }, 'a target is healthy again')
    else this.#log.warn({ event: 'target_unhealthy', ...fields }, 'a target is unhealthy: it gets no requests')
  }

  breakerOpened(names: TargetNames, ms: number): void {
    const fields = { event: 'breaker_open', ...names, ms }
    this.#log.warn(fields, 'the circuit breaker of a target is open: it gets no requests')
  }

  breakerClosed(names: TargetNames): void {
    this.#log.info({ event: 'breaker_closed', ...names }, 'the circuit breaker of a target is closed')
  }

  ejected(names: TargetNames, state: TargetState, ms: number): void {
    this.#log.warn({ event: 'target_ejected', ...names, ms }, 'a target is ejected after failures in a row')
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(state)
      this.#log.info({ event: 'target_returned', ...names }, 'the ejection of a target is over')
    }, ms)
    timer.unref()
    this.#timers.set(state, timer)
  }

  /** The target is not in use any more. */
  forget(state: TargetState): void {
    this.#clock.clearTimeout(this.#timers.get(state))
    this.#timers.delete(state)
  }
}
