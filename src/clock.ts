/** Time as an argument, so that tests can move it. */
import { performance } from 'node:perf_hooks'

export interface Clock {
  /** Milliseconds since the Unix epoch. Jumps when the system time is set. */
  now(): number
  /** Milliseconds since an arbitrary moment. Never goes back: for durations and deadlines. */
  monotonic(): number
  setTimeout(callback: () => void, ms: number): Timer
  clearTimeout(timer: Timer | undefined): void
}

/** A pending timeout. Node's `Timeout` is one. */
export interface Timer {
  /** Restarts the wait, whether or not the callback was called. */
  refresh(): unknown
  /** The process may end before the callback is called. */
  unref(): unknown
  [Symbol.dispose](): void
}

/** `performance` is imported: the global of the same name is a getter, which each reading would
 *  call. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (timer) => timer?.[Symbol.dispose]()
}
