/** Counts the running requests of one generation. */
export interface UnderWay {
  enter(): void
  leave(): void
  /** Resolves when no request is running. Call it once, when no further request will start. */
  ended(): Promise<void>
}

export function createUnderWay(): UnderWay {
  let count = 0
  let end: (() => void) | null = null
  return {
    enter: () => void count++,
    leave() {
      if (--count === 0) end?.()
    },
    ended: () =>
      new Promise((resolve) => {
        if (count === 0) resolve()
        else end = resolve
      })
  }
}
