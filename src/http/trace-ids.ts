/** Request ids and trace contexts (W3C Trace Context, section 3.2) from one cheap source of
 *  randomness. */
import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 24 * 512

/** Gives 24 random bytes in hexadecimal: 32 digits for the trace, 16 for the span. */
export function createTraceIds(): () => string {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
  let used = POOL_BYTES
  return () => {
    if (used === POOL_BYTES) {
      randomFillSync(pool)
      used = 0
    }
    const text = pool.toString('hex', used, used + 24)
    used += 24
    return text
  }
}
