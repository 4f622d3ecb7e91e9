/** At most so many at a time; the rest waits in order. */

export interface Queue {
  /** Calls `start` when there is room; it has to call `release` once when it is done. */
  enter(start: (release: () => void) => void, isUrgent?: boolean): Waiting
}

export interface Waiting {
  /** True when `start` had not been called yet, and now never will. */
  leave(): boolean
}

export function createQueue(limit: number): Queue {
  const waiting: ((release: () => void) => void)[] = []
  let running = 0

  function startNext(): void {
    while (running < limit) {
      const start = waiting.shift()
      if (!start) return
      running++
      start(once(release))
    }
  }

  function release(): void {
    running--
    startNext()
  }

  return {
    enter(start, isUrgent = false) {
      if (isUrgent) waiting.unshift(start)
      else waiting.push(start)
      startNext()
      return {
        leave() {
          const index = waiting.indexOf(start)
          if (index >= 0) waiting.splice(index, 1)
          return index >= 0
        }
      }
    }
  }
}

function once(fn: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    fn()
  }
}
