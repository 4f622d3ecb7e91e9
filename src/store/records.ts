/** Plain records through Keyv. Each backend has a small adapter. The value is stored without an
 *  envelope, so that the atomic operations beside Keyv see the same bytes. */
import { Keyv } from 'keyv'

/** The backend behind Keyv. It enforces expiry: an expired record is `undefined`. */
export interface RecordAdapter {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttl: number): Promise<void>
  delete(key: string): Promise<boolean>
}

export interface Records {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttl: number): Promise<void>
  delete(key: string): Promise<boolean>
}

export function createRecords(adapter: RecordAdapter): Records {
  const keyv = new Keyv<string>({
    store: {
      ...adapter,
      opts: {},
      on: () => undefined,
      // Keyv requires it; wxgate never empties a store.
      clear: () => Promise.reject(new Error('a store is never cleared'))
    },
    // Without a namespace Keyv would prefix every key with `keyv`.
    namespace: '',
    useKeyPrefix: false,
    // Without it a failing backend reads as a missing record, which could mean "not revoked".
    throwOnErrors: true,
    emitErrors: false,
    serialize: ({ value }) => value as string,
    deserialize: <Value>(text: string) => ({ value: text as Value & string, expires: undefined })
  })
  return {
    get: (key) => keyv.get(key),
    async set(key, value, ttl) {
      await keyv.set(key, value, wholeTtl(ttl))
    },
    delete: (key) => keyv.delete(key)
  }
}

/** Backends count whole milliseconds, and a record lives for at least one. */
export function wholeTtl(ttl: number): number {
  return Math.max(1, Math.ceil(ttl))
}
