/** When a request may be sent once more, and after how long. */
import type { WxgateError } from './errors'
import { wait } from './timers'

/** Milliseconds: before a repeat after a lost connection, and the longest that a call waits because the gateway says so. */
const AFTER_LOSS = 300
const LONGEST = 10_000

/** Null when a repeat makes no sense, or has to wait longer than a call may take. Whether a repeat is safe is for the caller
 *  to know. */
export function pauseBefore(error: WxgateError, whenShown: () => Promise<void>): Promise<void> | null {
  if (error.action === 'retry') {
    const milliseconds = (error.retryAfter ?? 1) * 1000
    return milliseconds <= LONGEST ? wait(milliseconds) : null
  }
  // WeChat ends whatever is under way some seconds after the mini-program went to the background.
  if (error.code === 'interrupted') return whenShown()
  if (error.code === 'network' || error.code === 'timeout' || isForeign(error)) return wait(AFTER_LOSS)
  return null
}

/** A load balancer without a gateway behind it. */
function isForeign(error: WxgateError): boolean {
  return error.code === 'invalid_response' && error.status >= 500
}
