/** Limits the refreshes of one session in memory: over the limit, the store is not asked. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'

const MAX_PER_WINDOW = 30
const WINDOW_MS = 60_000
const REMEMBERED = 20_000

export function createRefreshLimit(clock: Pick<Clock, 'monotonic'>): { hit(sessionId: string): void } {
  const windows = new LRUCache<string, { readonly endsAt: number; count: number }>({
    maxSize: REMEMBERED,
    sizeCalculation: () => 1
  })
  return {
    hit(sessionId) {
      const now = clock.monotonic()
      const known = windows.get(sessionId)
      const window = known && known.endsAt > now ? known : { endsAt: now + WINDOW_MS, count: 0 }
      if (window !== known) windows.set(sessionId, window)
      window.count++
      if (window.count <= MAX_PER_WINDOW) return
      const retryAfter = (window.endsAt - now) / 1000
      throw new ApiError('rate_limited', 'This session is refreshed too often. Wait as long as Retry-After says.', {
        retryAfter
      })
    }
  }
}
