/** Changes a record that several callers may be changing: read, change, compare-and-set, repeat. */
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { Store } from './port.ts'

const ATTEMPTS = 30
/** Milliseconds. All attempts together take about a second at most. */
const LONGEST_PAUSE = 64

/** Calls `attempt` until it returns something other than undefined; undefined means that
 *  another write came first. Pauses are random, so that colliding callers separate.
 *  @param what Names the record in the final {@link StoreError}. */
export async function untilWritten<T>(what: string, attempt: () => Promise<T | undefined>): Promise<T> {
  for (let lost = 0; lost < ATTEMPTS; lost++) {
    if (lost > 0) await delay(Math.random() * Math.min(2 ** lost, LONGEST_PAUSE))
    const result = await attempt()
    if (result !== undefined) return result
  }
  throw new StoreError(`${what} is being changed by too many callers at once`)
}

/** Removes a record unless it has changed since it was read. */
export async function deleteIfUnchanged(
  store: Pick<Store, 'compareAndSet'>,
  key: string,
  seen: string
): Promise<boolean> {
  return store.compareAndSet(key, seen, '-', 1)
}
