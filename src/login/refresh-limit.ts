/** Limits the refreshes of one session, in memory: no store is asked for a session that is over its limit. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'

const MAX_PER_WINDOW = 30
const WINDOW_MS = 60_000
const REMEMBERED = 20_000

export function createRefreshLimit(clock: Pick<Clock, 'monotonic'>): { hit(sessionId: string): void } {
  const windows = new LRUCache<string, { readonly endsAt: number; count: number }>({ max: REMEMBERED })
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
