/** Fixed-window limits, shared by all instances through the store. A key far over its limit is
 *  refused without asking the store. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { ApiError, StoreError } from '../errors.ts'
import { flatCopy } from '../flat-text.ts'
import type { Store } from '../store/port.ts'
import { type Quota, rateLimitHeaders } from './rate-limit-headers.ts'

const REMEMBERED = 50_000

export interface RateLimiter {
  /** Counts one request; throws rate_limited above the limit. Without a working store it throws
   *  StoreError, or counts in this process when `isLenient`. */
  hit(key: string): Promise<Quota>
}

export interface RateLimiterOptions {
  readonly store: Pick<Store, 'increment'>
  readonly clock: Clock
  /** Keeps the counters of different limits apart. */
  readonly name: string
  readonly max: number
  /** Milliseconds. */
  readonly window: number
  /** Count in this process instead of refusing while the store fails. */
  readonly isLenient?: boolean
}

export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { store, clock, name, max, window } = options
  const blocked = new LRUCache<string, number>({ maxSize: REMEMBERED, sizeCalculation: () => 1 })

  function refuse(until: number): never {
    const resetsIn = until - clock.now()
    throw new ApiError('rate_limited', 'Too many requests. Wait as long as Retry-After says.', {
      retryAfter: resetsIn / 1000,
      headers: rateLimitHeaders({ max, window, remaining: 0, resetsIn })
    })
  }

  const local = new LRUCache<string, number>({ maxSize: REMEMBERED, sizeCalculation: () => 1 })

  async function count(key: string, ttl: number): Promise<number> {
    try {
      return await store.increment(key, ttl)
    } catch (error) {
      if (!options.isLenient || !(error instanceof StoreError)) throw error
      const counted = (local.get(key) ?? 0) + 1
      local.set(key, counted)
      return counted
    }
  }

  return {
    async hit(key) {
      const now = clock.now()
      const until = blocked.get(key)
      if (until !== undefined && until > now) refuse(until)
      const slot = Math.floor(now / window)
      const end = (slot + 1) * window
      const counted = await count(`limit:${name}:${key}:${slot}`, Math.max(1, end - now))
      if (counted <= max) return { max, window, remaining: max - counted, resetsIn: end - now }
      blocked.set(flatCopy(key), end)
      refuse(end)
    }
  }
}
