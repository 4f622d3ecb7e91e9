/** Joins the transactions of one turn of the event loop into one commit. A commit costs more than
 *  the statements in it, and each caller waits for the commit of its own work all the same. */

interface Waiting<S> {
  run(sql: S): void
  resolve(): void
  reject(error: unknown): void
}

/** Commits run one after the other: work of a later turn is never committed before that of an
 *  earlier one, also while the file is locked.
 *  @param commit Runs work in one transaction, perhaps more than once; all of it or nothing is
 *    kept. When it fails, everything that waits fails with its error. */
export function createGroupCommit<S>(commit: (work: (sql: S) => void) => Promise<void>) {
  let waiting: Waiting<S>[] = []
  let isPlanned = false

  function plan(): void {
    if (isPlanned || waiting.length === 0) return
    isPlanned = true
    setImmediate(() => void flush())
  }

  async function flush(): Promise<void> {
    let count = 0
    try {
      await commit((sql) => {
        // Work that came while the file was locked joins.
        count = waiting.length
        for (const { run } of waiting) run(sql)
      })
      for (const { resolve } of take(count)) resolve()
    } catch (error) {
      for (const { reject } of take(waiting.length)) reject(error)
    }
    isPlanned = false
    plan()
  }

  function take(count: number): Waiting<S>[] {
    const taken = waiting.slice(0, count)
    waiting = waiting.slice(count)
    return taken
  }

  return function transaction<T>(work: (sql: S) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T
      const run = (sql: S) => {
        result = work(sql)
      }
      waiting.push({ run, resolve: () => resolve(result), reject })
      plan()
    })
  }
}
