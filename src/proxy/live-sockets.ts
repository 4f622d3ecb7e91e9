/** WebSockets that are open: each ends when the session it was opened with does. */

import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'

/** Interval between two looks at the revocations (milliseconds). They change within a second of an end anywhere; most looks
 *  find that nothing did. */
const INTERVAL = 200

export interface LiveSockets {
  /** Calls `end` when the session of `principal` is ended, until the returned function is called. A token that expires
   *  ends nothing: it was good when the connection was opened. */
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
      // Whatever happened between its authentication and now is looked at as well.
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
