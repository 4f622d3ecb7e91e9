/** Collects the answers of all workers to a question of one of them. */

/** Time for the answers of the workers (milliseconds). */
const TIMEOUT = 1_000

export interface GroupAnswers {
  /** Asks each worker by `ask`, and resolves with the answers that arrive in time. */
  collect(workers: readonly { ask(id: number): void }[]): Promise<readonly unknown[]>
  /** Takes the answer of one worker. */
  answered(id: number, answer: unknown): void
}

interface Collection {
  readonly answers: unknown[]
  missing: number
  readonly done: () => void
}

export function createGroupAnswers(): GroupAnswers {
  const collections = new Map<number, Collection>()
  let nextId = 0

  return {
    async collect(workers) {
      const id = nextId++
      const answers: unknown[] = []
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, TIMEOUT)
        const done = () => {
          clearTimeout(timer)
          resolve()
        }
        collections.set(id, { answers, missing: workers.length, done })
        for (const worker of workers) worker.ask(id)
      })
      collections.delete(id)
      return answers
    },
    answered(id, answer) {
      const collection = collections.get(id)
      if (!collection) return
      collection.answers.push(answer)
      if (--collection.missing === 0) collection.done()
    }
  }
}
