/** Request ids and trace contexts (W3C Trace Context, section 3.2) from one cheap source of
 *  randomness. */
import { randomFillSync } from 'node:crypto'

const ID_BYTES = 24
/** Ids that become text together. Few: each keeps the text of all alive. */
const IDS_PER_TEXT = 16
const TEXT_BYTES = ID_BYTES * IDS_PER_TEXT
const POOL_BYTES = TEXT_BYTES * 32

/** Gives 24 random bytes in hexadecimal: 32 digits for the trace, 16 for the span. */
export function createTraceIds(): () => string {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  let used = POOL_BYTES
  let text = ''
  let at = 0

  function refill(): void {
    if (used === POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    text = pool.toString('hex', used, used + TEXT_BYTES)
    used += TEXT_BYTES
    at = 0
  }

  return () => {
    if (at === text.length) refill()
    const start = at
    at += ID_BYTES * 2
    return text.slice(start, at)
  }
}
