/** Changes of a record that several may be changing: read, change, compare-and-set, and again when somebody was faster. */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'

const ATTEMPTS = 30
/** Milliseconds. All attempts together take about a second at most. */
const LONGEST_PAUSE = 64

/** Calls `attempt` until it gives something other than undefined, which means that the write was lost to another one.
 *  Pauses are random, so that those who met once do not meet again. @param what For the message of the
 *  {@link StoreError} in which it ends. */
export async function untilWritten<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let lost = 0; lost < ATTEMPTS; lost++) {
    if (lost > 0) await delay(Math.random() * Math.min(2 ** lost, LONGEST_PAUSE))
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new StoreError(`${what} is being changed by too many at once`)
}
