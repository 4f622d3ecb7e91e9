/** Clocks that tests move. */
import { type Clock, systemClock, type Timer } from '../../src/clock.ts'

export interface TestClock extends Clock {
  advance(ms: number): void
}

/** The wall clock stands still until it is moved. Timers and monotonic time run; `advance` also
 *  moves monotonic time and fires no timer. For tests with sockets. */
export function createTestClock(start = Date.now()): TestClock {
  let advanced = 0
  return {
    ...systemClock,
    now: () => start + advanced,
    monotonic: () => performance.now() + advanced,
    advance(ms) {
      advanced += ms
    }
  }
}

/** Timers fire `factor` times sooner. For limits that no configuration shortens. */
export function createQuickClock(factor: number): Clock {
  return { ...systemClock, setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms / factor) }
}

export interface FakeClock extends TestClock {
  /** Timers that have not fired. */
  readonly pending: number
}

/** Time moves only by `advance`, which fires due timers in order, each at its own time. */
export function createFakeClock(start = Date.UTC(2026, 10, 23)): FakeClock {
  const due = new Map<Timer, number>()
  const callbacks = new WeakMap<Timer, () => void>()
  let elapsed = 0

  function next(until: number): [Timer, number] | undefined {
    const ready = [...due].filter(([, at]) => at <= until)
    return ready.sort((a, b) => a[1] - b[1])[0]
  }

  return {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    get pending() {
      return due.size
    },
    setTimeout(callback, ms) {
      const timer: Timer = {
        refresh: () => due.set(timer, elapsed + Math.max(1, ms)),
        unref: () => timer,
        [Symbol.dispose]: () => void due.delete(timer)
      }
      callbacks.set(timer, callback)
      timer.refresh()
      return timer
    },
    clearTimeout(timer) {
      if (timer) due.delete(timer)
    },
    advance(ms) {
      const until = elapsed + ms
      for (let entry = next(until); entry; entry = next(until)) {
        const [timer, at] = entry
        elapsed = at
        due.delete(timer)
        callbacks.get(timer)?.()
      }
      elapsed = until
    }
  }
}
