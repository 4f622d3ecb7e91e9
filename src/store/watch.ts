/** Sees how a store fares, since one that still answers questions may refuse every change: a full disk, a locked file, a
 *  replica. */
import type { Clock } from '../clock.ts'
import type { Store } from './port.ts'

/** Milliseconds that a failure counts without another try. */
const LATELY = 10_000

export interface StoreWatch {
  /** To be used in the place of the store. */
  readonly store: Store
  /** False when the last attempt to change something failed, and was within the last ten seconds. */
  isWritable(): boolean
}

export interface WatchOptions {
  readonly clock: Clock
  /** Called for every operation that failed. */
  readonly onFailure: (operation: string) => void
}

export function watchStore(store: Store, { clock, onFailure }: WatchOptions): StoreWatch {
  let failedAt = Number.NEGATIVE_INFINITY

  function reading<A extends unknown[], T>(name: string, operation: (...args: A) => Promise<T>) {
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
      close: store.close
    },
    isWritable: () => clock.now() - failedAt >= LATELY
  }
}
