/** Requests that go on until the test has done what it does under load. */
import { setTimeout as delay } from 'node:timers/promises'
import { until } from './until.ts'

export interface SteadyLoad {
  /** Requests that have ended. */
  readonly count: number
  /** Resolves when this many further requests have ended. */
  more(count: number): Promise<void>
  /** Resolves when all have ended, with the number of each outcome. */
  stop(): Promise<Readonly<Record<string, number>>>
}

/** Each lane has one request under way at a time.
 *  @param pauseMs Of a lane between two requests, so that the load leaves CPU to others.
 *  @param ask Makes the n-th request and gives its outcome; a rejection is one too. */
export function startLoad(lanes: number, pauseMs: number, ask: (n: number) => Promise<string>): SteadyLoad {
  const outcomes: Record<string, number> = {}
  let [isOver, started, ended] = [false, 0, 0]
  const lane = async () => {
    while (!isOver) {
      const outcome = await ask(started++).catch(nameOf)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
      ended++
      await delay(pauseMs)
    }
  }
  const all = Promise.all(Array.from({ length: lanes }, lane))
  return {
    get count() {
      return ended
    },
    more(count) {
      const before = ended
      return until(() => ended >= before + count)
    },
    async stop() {
      isOver = true
      await all
      return outcomes
    }
  }
}

/** The code of the innermost error: that of fetch says nothing. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? nameOf(error.cause) : 'code' in error ? String(error.code) : error.message
}
