/** Timers of a mini-program that run only when a test lets time pass. */

export interface TestTimers {
  /** Globals of the mini-program. */
  readonly globals: {
    setTimeout(callback: () => void, ms?: number): number
    clearTimeout(id?: number): void
  }
  /** Milliseconds that have passed. */
  readonly now: number
  /** Lets time pass, timer by timer, until the promise is settled. Returns its value, or throws
   *  its error. */
  until<T>(promise: Promise<T>): Promise<T>
  /** Lets this much time pass. */
  advance(ms: number): Promise<void>
}

export function createTimers(): TestTimers {
  const pending = new Map<number, { at: number; callback: () => void }>()
  let now = 0
  let ids = 0

  /** Runs the next timer that is due. Returns false without one. */
  function runNext(by: number): boolean {
    let next: number | undefined
    for (const [id, { at }] of pending) {
      if (at <= by && (next === undefined || at < (pending.get(next)?.at ?? 0))) next = id
    }
    if (next === undefined) return false
    const timer = pending.get(next)
    pending.delete(next)
    now = Math.max(now, timer?.at ?? 0)
    timer?.callback()
    return true
  }

  return {
    globals: {
      setTimeout(callback, ms = 0) {
        pending.set(++ids, { at: now + ms, callback })
        return ids
      },
      clearTimeout: (id) => void pending.delete(id ?? 0)
    },
    get now() {
      return now
    },
    async until(promise) {
      let isSettled = false
      const settle = () => {
        isSettled = true
      }
      promise.then(settle, settle)
      for (;;) {
        await idle()
        if (isSettled) return promise
        if (!runNext(Number.POSITIVE_INFINITY)) throw new Error('no timer is left that could settle the promise')
      }
    },
    async advance(ms) {
      const end = now + ms
      do await idle()
      while (runNext(end))
      now = end
    }
  }
}

/** Lets callbacks and promises run that need no timer. */
export async function idle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
