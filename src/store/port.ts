/** The port of a store: plain records with an expiry, the few atomic operations that one-time
 *  things need, and a feed that every instance follows. Values are strings; what they mean is known one level up. */

/** Every operation settles within the store's deadline and throws {@link StoreError} when the backend fails; a missing
 *  or expired record is `undefined`, never an error. TTLs are in milliseconds and at least 1. */
export interface Store {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttl: number): Promise<void>
  /** True when a record was there. */
  delete(key: string): Promise<boolean>
  /** Writes only where no live record is; true when this call wrote it. Of any number of callers exactly one wins. */
  setIfAbsent(key: string, value: string, ttl: number): Promise<boolean>
  /** Replaces the record only while its value is byte for byte `expected`; true when this call replaced it. */
  compareAndSet(key: string, expected: string, value: string, ttl: number): Promise<boolean>
  /** Adds 1 to a counter and tells the new value; the first call in a window starts it, and it ends `ttl` later. */
  increment(key: string, ttl: number): Promise<number>
  /** Appends to the feed. The entry may be forgotten after `ttl`. When this resolves, every later `readFeed` of any
   *  process sees it. */
  appendFeed(value: string, ttl: number): Promise<void>
  /** Live entries after `cursor` in the order of appending, at most `limit`; start with the cursor `''`. The feed has
   *  been read whole when fewer than `limit` come back. After trouble in the backend entries may come a second time. */
  readFeed(cursor: string, limit: number): Promise<FeedPage>
  close(): Promise<void>
}

export interface FeedPage {
  readonly entries: readonly string[]
  /** Place of the next reading. */
  readonly cursor: string
}
