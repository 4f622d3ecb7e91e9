/** Opens a store with a short deadline, and watches it fail and recover. */
import type { Test } from 'tap'
import { openStore } from '../../src/store/open.ts'
import { createTestClock } from './clock.ts'
// Loaded before the clock starts: reading its client from the disk is not part of the deadline.
import '../../src/store/redis.ts'
import type { Store } from '../../src/store/port.ts'
import { quietLog } from './store.ts'
import { until } from './until.ts'

const HOUR = 3_600_000
/** Milliseconds, long enough for a healthy Redis on a busy machine. */
export const TIMEOUT = 1_500

export async function openImpatiently(t: Test, url: string, timeout = TIMEOUT) {
  const log = quietLog()
  const store = await openStore(url, { clock: createTestClock(), log, timeout })
  t.teardown(() => store.close())
  return { store, log }
}

/** Every operation fails with a StoreError. A server that never answers delays none of them. */
export async function assertAway(t: Test, store: Store, message: RegExp): Promise<void> {
  const outcomes = await Promise.allSettled([
    store.get('a'),
    store.set('a', 'x', HOUR),
    store.delete('a'),
    store.setIfAbsent('a', 'x', HOUR),
    store.compareAndSet('a', 'x', 'y', HOUR),
    store.increment('n', HOUR),
    store.appendFeed('lost', 1),
    store.readFeed('', 10)
  ])
  for (const outcome of outcomes) {
    const error = outcome.status === 'rejected' ? outcome.reason : undefined
    t.match(error, { name: 'StoreError', message })
    t.equal(error?.cause, undefined, 'no text of the client, which may repeat credentials, is passed on')
  }
}

/** Waits until an operation succeeds again, by itself. */
export function untilBack(store: Store): Promise<void> {
  return until(() =>
    store.get('a').then(
      () => true,
      () => false
    )
  )
}

/** Waits until an operation fails because there is no connection. */
export function untilUnreachable(store: Store): Promise<void> {
  return until(() =>
    store.get('a').then(
      () => false,
      (error: Error) => error.message.includes('cannot be reached')
    )
  )
}
