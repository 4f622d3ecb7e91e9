/** Open WebSockets: each ends with the session that opened it. */

import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'

/** Interval between two checks of the revocations (milliseconds). An end reaches every instance
 *  within a second; most checks find no change. */
const INTERVAL = 200

export interface LiveSockets {
  /** Calls `end` when the session of `principal` ends, until the returned function is called.
   *  An expired token ends nothing: it was valid when the connection was opened. */
  watch(principal: Principal, end: () => void): () => void
}

export function createLiveSockets(revocations: Pick<Revocations, 'version' | 'isRevoked'>): LiveSockets {
  const open = new Set<{ readonly principal: Principal; readonly end: () => void }>()
  let timer: NodeJS.Timeout | undefined
  let seen = -1

  function look(): void {
    if (revocations.version === seen) return
    seen = revocations.version
    for (const { principal, end } of [...open]) if (revocations.isRevoked(principal)) end()
  }

  return {
    watch(principal, end) {
      const entry = { principal, end }
      open.add(entry)
      // Includes ends between the authentication and now.
      seen = -1
      if (timer === undefined) {
        timer = setInterval(look, INTERVAL)
        timer.unref()
      }
      return () => {
        open.delete(entry)
        if (open.size > 0) return
        clearInterval(timer)
        timer = undefined
      }
    }
  }
}
