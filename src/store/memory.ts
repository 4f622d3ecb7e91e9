/** `memory:`: state of one process, lost when it ends. For development and tests. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { createMemoryQueue } from './memory-queue.ts'
import type { Store } from './port.ts'
import { createRecords, wholeTtl } from './records.ts'

/** Most records kept; above it the least recently used one goes, live or not. At about 500
 *  bytes a record this is about 100 MB. */
const MEMORY_RECORDS = 200_000

interface MemoryRecord {
  readonly value: string
  readonly expires: number
}

export interface MemoryStoreOptions {
  readonly clock: Clock
  readonly log: Log
  readonly maxRecords?: number
}

export function createMemoryStore({ clock, log, maxRecords = MEMORY_RECORDS }: MemoryStoreOptions): Store {
  let isClosed = false
  let isOverflowing = false
  const cache = new LRUCache<string, MemoryRecord>({
    // A size of 1 for each record: with `max` the cache would allocate every place at once.
    maxSize: maxRecords,
    sizeCalculation: () => 1,
    dispose(record, _key, reason) {
      if (reason !== 'evict' || isOverflowing || record.expires <= clock.now()) return
      isOverflowing = true
      log.warn({ maxRecords }, 'the memory store is full and drops live records; use sqlite: or redis:// instead')
    }
  })
  const feed = createMemoryFeed(clock)

  function expectOpen(): void {
    if (isClosed) throw new StoreError('the store is closed')
  }

  function live(key: string): MemoryRecord | undefined {
    expectOpen()
    const record = cache.get(key)
    if (!record || record.expires > clock.now()) return record
    cache.delete(key)
    return undefined
  }

  function write(key: string, value: string, ttl: number): void {
    expectOpen()
    cache.set(key, { value, expires: clock.now() + wholeTtl(ttl) })
  }

  const records = createRecords({
    get: async (key) => live(key)?.value,
    set: async (key, value, ttl) => write(key, value, ttl),
    delete: async (key) => live(key) !== undefined && cache.delete(key)
  })

  return {
    ...records,
    async setIfAbsent(key, value, ttl) {
      if (live(key)) return false
      write(key, value, ttl)
      return true
    },
    async compareAndSet(key, expected, value, ttl) {
      if (live(key)?.value !== expected) return false
      write(key, value, ttl)
      return true
    },
    async increment(key, ttl) {
      const record = live(key)
      if (!record) {
        write(key, '1', ttl)
        return 1
      }
      const count = Number(record.value) + 1
      if (!Number.isSafeInteger(count)) throw new StoreError('the record is not a counter')
      cache.set(key, { value: String(count), expires: record.expires })
      return count
    },
    async appendFeed(value, ttl) {
      expectOpen()
      feed.append(value, ttl)
    },
    async readFeed(cursor, limit) {
      expectOpen()
      return feed.read(cursor, limit)
    },
    async scan(prefix) {
      expectOpen()
      const now = clock.now()
      const isLive = (key: string) => (cache.peek(key)?.expires ?? 0) > now
      return { keys: [...cache.keys()].filter((key) => key.startsWith(prefix) && isLive(key)), cursor: null }
    },
    queue: createMemoryQueue({ clock, expectOpen }),
    async close() {
      isClosed = true
      cache.clear()
    }
  }
}

/** Drops expired entries at the old end with every append, which bounds its size. */
function createMemoryFeed(clock: Clock) {
  let entries: MemoryRecord[] = []
  /** Entries before this index have expired; the array is cut when they are more than half of
   *  it. */
  let head = 0
  /** Sequence number of `entries[0]`. */
  let base = 1
  return {
    append(value: string, ttl: number): void {
      const now = clock.now()
      for (let first = entries[head]; first && first.expires <= now; first = entries[head]) head++
      if (head > 1_000 && head * 2 > entries.length) {
        entries = entries.slice(head)
        base += head
        head = 0
      }
      entries.push({ value, expires: now + wholeTtl(ttl) })
    },
    read(cursor: string, limit: number) {
      const now = clock.now()
      const found: string[] = []
      let index = Math.max(head, Number(cursor || 0) + 1 - base)
      for (; index < entries.length && found.length < limit; index++) {
        const entry = entries[index]
        if (entry && entry.expires > now) found.push(entry.value)
      }
      return { entries: found, cursor: String(base + index - 1), hasRestarted: false }
    }
  }
}
