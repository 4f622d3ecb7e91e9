/** Runs a limited number of jobs at a time; the others wait in order. */

export interface Queue {
  /** Calls `start` when there is room. `start` calls `release` when its job is done. */
  enter(start: (release: () => void) => void, isUrgent?: boolean): Place
}

export interface Place {
  /** Returns true when `start` was still waiting: it is then never called. */
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
