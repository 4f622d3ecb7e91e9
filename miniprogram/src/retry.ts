/** Decides when a request may be repeated, and after how long. */
import type { WxgateError } from './errors'
import { wait } from './timers'

/** Pause before a repeat after a lost connection. */
const AFTER_LOSS_MS = 300
/** Longest Retry-After that a call waits for. */
const MAX_PAUSE_MS = 10_000

/** Returns null when a repeat does not help, or would have to wait too long. The caller knows
 *  whether a repeat is safe. */
export function pauseBefore(error: WxgateError, whenShown: () => Promise<void>): Promise<void> | null {
  if (error.action === 'retry') {
    const pauseMs = (error.retryAfter ?? 1) * 1000
    return pauseMs <= MAX_PAUSE_MS ? wait(pauseMs) : null
  }
  // WeChat ends every request some seconds after the mini-program went to the background.
  if (error.code === 'interrupted') return whenShown()
  if (error.code === 'network' || error.code === 'timeout' || isFromProxy(error)) return wait(AFTER_LOSS_MS)
  return null
}

/** An error page of a load balancer that found no gateway behind it. */
function isFromProxy(error: WxgateError): boolean {
  return error.code === 'invalid_response' && error.status >= 500
}
