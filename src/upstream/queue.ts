/** The requests that wait for one target, in order of arrival. */
import type { Clock, Timer } from '../clock.ts'

/** A request that waits. */
export interface Waiting {
  /** Largest number of requests under way with which the target still takes this one. */
  readonly maxInFlight: number
  /** Offers the place that the request waited for. False: it takes none. */
  admitted(): boolean
  refused(reason: 'queue_full' | 'queue_timeout'): void
}

export class TargetQueue {
  readonly #waiting = new Map<Waiting, Timer>()

  get length(): number {
    return this.#waiting.size
  }

  /** Refuses the request at once when the queue is full. */
  add(waiting: Waiting, max: number, timeoutMs: number, clock: Pick<Clock, 'setTimeout'>): void {
    if (this.#waiting.size >= max) {
      waiting.refused('queue_full')
      return
    }
    const timer = clock.setTimeout(() => {
      this.#waiting.delete(waiting)
      waiting.refused('queue_timeout')
    }, timeoutMs)
    this.#waiting.set(waiting, timer)
  }

  remove(waiting: Waiting, clock: Pick<Clock, 'clearTimeout'>): void {
    clock.clearTimeout(this.#waiting.get(waiting))
    this.#waiting.delete(waiting)
  }

  /** Admits the request that has waited longest, if it may go with so many under way. */
  next(inFlight: number, clock: Pick<Clock, 'clearTimeout'>): void {
    if (this.#waiting.size === 0) return
    for (const waiting of this.#waiting.keys()) {
      if (inFlight >= waiting.maxInFlight) return
      this.remove(waiting, clock)
      if (waiting.admitted()) return
    }
  }
}
