/** Records whether a store accepts changes: one that still answers reads may refuse writes
 *  (full disk, locked file, replica). */
import type { Clock } from '../clock.ts'
import type { Store } from './port.ts'

/** Milliseconds for which a failure counts without another try. */
const LATELY = 10_000

export interface StoreWatch {
  /** Use it in place of the watched store. */
  readonly store: Store
  /** Names that `onFailure` can be called with. */
  readonly operations: readonly string[]
  /** False when the last write failed less than ten seconds ago. */
  isWritable(): boolean
}

export interface WatchOptions {
  readonly clock: Clock
  /** Called for every operation that failed. */
  readonly onFailure: (operation: string) => void
}

export function watchStore(store: Store, { clock, onFailure }: WatchOptions): StoreWatch {
  let failedAt = Number.NEGATIVE_INFINITY
  const operations: string[] = []

  function reading<A extends unknown[], T>(name: string, operation: (...args: A) => Promise<T>) {
    operations.push(name)
    return async (...args: A): Promise<T> => {
      try {
        return await operation(...args)
      } catch (error) {
        onFailure(name)
        throw error
      }
    }
  }

  function writing<A extends unknown[], T>(name: string, operation: (...args: A) => Promise<T>) {
    const counted = reading(name, operation)
    return async (...args: A): Promise<T> => {
      try {
        const result = await counted(...args)
        failedAt = Number.NEGATIVE_INFINITY
        return result
      } catch (error) {
        failedAt = clock.now()
        throw error
      }
    }
  }

  return {
    store: {
      get: reading('get', store.get),
      set: writing('set', store.set),
      delete: writing('delete', store.delete),
      setIfAbsent: writing('setIfAbsent', store.setIfAbsent),
      compareAndSet: writing('compareAndSet', store.compareAndSet),
      increment: writing('increment', store.increment),
      appendFeed: writing('appendFeed', store.appendFeed),
      readFeed: reading('readFeed', store.readFeed),
      scan: reading('scan', store.scan),
      queue: {
        enqueue: writing('enqueue', store.queue.enqueue),
        claim: writing('claim', store.queue.claim),
        done: writing('done', store.queue.done),
        release: writing('release', store.queue.release),
        bury: writing('bury', store.queue.bury),
        isKnown: reading('isKnown', store.queue.isKnown),
        dead: reading('dead', store.queue.dead),
        revive: writing('revive', store.queue.revive),
        depth: reading('depth', store.queue.depth)
      },
      close: store.close
    },
    operations,
    isWritable: () => clock.now() - failedAt >= LATELY
  }
}
