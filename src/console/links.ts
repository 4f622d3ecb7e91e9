/** One-time links: a sign-in to the console without a service token, for the person who started the
 *  gateway. Kept as hashes in the memory of this process. */
import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'

export interface ConsoleLinks {
  /** A secret for one sign-in within ten minutes. */
  create(): string
  /** True for the first use in time. */
  use(link: string): boolean
}

const LIFE_MS = 10 * 60_000
const MAX_LINKS = 16

export function createConsoleLinks(clock: Pick<Clock, 'monotonic'>): ConsoleLinks {
  const ends = new Map<string, number>()
  const keyOf = (link: string) => hash('sha256', link)
  return {
    create() {
      const link = randomBytes(32).toString('base64url')
      const [oldest] = ends.keys()
      if (ends.size >= MAX_LINKS && oldest !== undefined) ends.delete(oldest)
      ends.set(keyOf(link), clock.monotonic() + LIFE_MS)
      return link
    },
    use(link) {
      const key = keyOf(link)
      const end = ends.get(key)
      ends.delete(key)
      return end !== undefined && clock.monotonic() < end
    }
  }
}
