/** Opening a store with a short deadline, and watching it fail and come back. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { openStore } from '../../src/store/open.ts'
import { createTestClock } from './clock.ts'
// Loaded before the clock starts: reading its client from the disk is no part of the deadline.
import '../../src/store/redis.ts'
import type { Store } from '../../src/store/port.ts'
import { quietLog } from './store.ts'

const HOUR = 3_600_000
export const TIMEOUT = 250
/** A machine with two busy cores is not punctual. */
const SLACK = 200

export async function openImpatiently(t: Test, url: string, timeout = TIMEOUT) {
  const log = quietLog()
  const started = performance.now()
  const store = await openStore(url, { clock: createTestClock(), log, timeout })
  t.ok(performance.now() - started < timeout + SLACK, 'opening keeps the deadline')
  t.teardown(() => store.close())
  return { store, log }
}

/** Every operation fails with a StoreError, none later than the deadline. */
export async function assertAway(t: Test, store: Store, message: RegExp, within = TIMEOUT): Promise<void> {
  const started = performance.now()
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
  const took = performance.now() - started
  for (const outcome of outcomes) {
    const error = outcome.status === 'rejected' ? outcome.reason : undefined
    t.match(error, { name: 'StoreError', message })
    t.equal(error?.cause, undefined, 'nothing of the client, which may repeat credentials, is handed on')
  }
  t.ok(took < within + SLACK, `failed within ${within} ms (took ${Math.round(took)})`)
}

/** Milliseconds until an operation succeeds again. */
export async function untilBack(t: Test, store: Store, within = 3_000): Promise<void> {
  const started = performance.now()
  for (;;) {
    const isBack = await store.get('a').then(
      () => true,
      () => false
    )
    const took = performance.now() - started
    if (isBack || took > within) {
      t.ok(isBack, `back by itself within ${within} ms (took ${Math.round(took)})`)
      return
    }
    await delay(10)
  }
}
