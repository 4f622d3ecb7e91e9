/** The port of a store: plain records with an expiry, atomic operations for single-use
 *  things, and a feed that every instance follows. Values are strings; their meaning is known
 *  one level up. */
import type { DurableQueue } from './queue.ts'

/** Every operation settles within the store's deadline and throws {@link StoreError} when the
 *  backend fails. A missing or expired record is `undefined`, never an error. TTLs are in
 *  milliseconds and at least 1. */
export interface Store {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttl: number): Promise<void>
  /** True when there was a record. */
  delete(key: string): Promise<boolean>
  /** Writes only without a live record; true when this call wrote it. Of any number of callers
   *  exactly one succeeds. */
  setIfAbsent(key: string, value: string, ttl: number): Promise<boolean>
  /** Replaces the record only while its value is byte for byte `expected`; true when this call
   *  replaced it. */
  compareAndSet(key: string, expected: string, value: string, ttl: number): Promise<boolean>
  /** Adds 1 to a counter and returns the new value. The first call starts a window that ends
   *  `ttl` later. */
  increment(key: string, ttl: number): Promise<number>
  /** Appends to the feed. The entry may be dropped after `ttl`. Once this resolves, every later
   *  `readFeed` of any process returns it. */
  appendFeed(value: string, ttl: number): Promise<void>
  /** Live entries after `cursor` in the order of appending, at most `limit`; the first cursor
   *  is `''`. Fewer than `limit` entries mean the end of the feed. Entries may come twice after a
   *  fault in the backend. */
  readFeed(cursor: string, limit: number): Promise<FeedPage>
  /** Keys of live records that begin with `prefix`, about `limit` of them; start with the cursor
   *  `''`. A key may come twice, and one that is written meanwhile may be missed. For rare
   *  operations: it reads the whole store. */
  scan(prefix: string, cursor: string, limit: number): Promise<KeyPage>
  readonly queue: DurableQueue
  close(): Promise<void>
}

export interface KeyPage {
  readonly keys: readonly string[]
  /** Place of the next reading; null after the last page. */
  readonly cursor: string | null
}

export interface FeedPage {
  readonly entries: readonly string[]
  /** True when the reading began again at the oldest entry in spite of its cursor: another state of
   *  the store may be behind it, and entries that were read before may be lost. */
  readonly hasRestarted: boolean
  /** Cursor for the next reading. */
  readonly cursor: string
}
