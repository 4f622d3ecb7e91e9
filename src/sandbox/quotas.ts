/** Daily quotas of calls with an access token, by app and path. A day begins at midnight in
 *  Beijing. */
import type { Clock } from '../clock.ts'
import { createBoundedMap } from './bounded-map.ts'

/** Of every path. */
const DAILY_LIMIT = 5_000_000
const DAY = 86_400_000
const BEIJING = 8 * 3_600_000

export interface DailyQuota {
  readonly daily_limit: number
  readonly used: number
  readonly remain: number
}

export interface Quotas {
  /** Counts a call; false for one beyond the limit of the day. */
  take(appId: string, path: string): boolean
  of(appId: string, path: string): DailyQuota
  clear(): void
}

export function createQuotas(clock: Pick<Clock, 'now'>): Quotas {
  const used = createBoundedMap<string, number>()
  const keyOf = (appId: string, path: string) => `${Math.floor((clock.now() + BEIJING) / DAY)} ${appId} ${path}`
  const usedOf = (appId: string, path: string) => used.get(keyOf(appId, path)) ?? 0

  return {
    take(appId, path) {
      const before = usedOf(appId, path)
      if (before >= DAILY_LIMIT) return false
      used.set(keyOf(appId, path), before + 1)
      return true
    },
    of(appId, path) {
      const count = usedOf(appId, path)
      return { daily_limit: DAILY_LIMIT, used: count, remain: DAILY_LIMIT - count }
    },
    clear: () => used.clear()
  }
}
