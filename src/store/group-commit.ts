/** Joins the transactions of one turn of the event loop into one commit. A commit costs more than
 *  the statements in it, and each caller waits for the commit of its own work all the same. */

interface Waiting<S> {
  run(sql: S): void
  resolve(): void
  reject(error: unknown): void
}

/** @param commit Runs work in one transaction, perhaps more than once; all of it or nothing is
 *    kept. When it fails, each work of the turn fails with its error. */
export function createGroupCommit<S>(commit: (work: (sql: S) => void) => Promise<void>) {
  let waiting: Waiting<S>[] = []

  async function flush(): Promise<void> {
    const group = waiting
    waiting = []
    try {
      await commit((sql) => {
        for (const { run } of group) run(sql)
      })
      for (const { resolve } of group) resolve()
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return function transaction<T>(work: (sql: S) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      let result: T
      const run = (sql: S) => {
        result = work(sql)
      }
      if (waiting.length === 0) setImmediate(() => void flush())
      waiting.push({ run, resolve: () => resolve(result), reject })
    })
  }
}
