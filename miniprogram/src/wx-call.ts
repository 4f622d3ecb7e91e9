/** One call of wx as a promise that always settles. */
import { after } from './timers'
import type { WxFailure } from './wx'

/** Time for wx to report its own timeout before this one. */
export const GRACE_MS = 1_000

export interface WxCall<Result> {
  /** Name in the errMsg of a timeout, such as `login`. */
  readonly name: string
  /** Milliseconds without a callback, counted from the start or from the last `extend`. */
  readonly timeoutMs: number
  /** Calls wx and returns what wx returned. */
  start(callbacks: Outcome<Result>, extend: () => void): unknown
  /** Called when the time is over. */
  stop?(): void
}

export interface Outcome<Result> {
  success(result: Result): void
  fail(failure?: WxFailure): void
}

/** Rejects with a WxFailure: that of wx, a thrown value, or a timeout when wx called neither
 *  callback in time. */
export function callWx<Result>({ name, timeoutMs, start, stop }: WxCall<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    let isSettled = false
    const expire = () => {
      if (!settle()) return
      stop?.()
      reject({ errMsg: `${name}:fail timeout` })
    }
    let cancel = after(timeoutMs, expire)
    /** Returns true the first time. */
    const settle = () => {
      const isFirst = !isSettled
      isSettled = true
      cancel()
      return isFirst
    }
    const extend = () => {
      if (isSettled) return
      cancel()
      cancel = after(timeoutMs, expire)
    }
    try {
      const returned = start(
        {
          success: (result) => settle() && resolve(result),
          fail: (failure) => settle() && reject({ ...failure, errMsg: String(failure?.errMsg ?? `${name}:fail`) })
        },
        extend
      )
      // Taro and uni-app also return a promise. The callbacks have already reported its outcome.
      if (isPromise(returned)) returned.then(undefined, () => {})
    } catch (error) {
      if (settle()) reject({ errMsg: `${name}:fail ${String(error)}` })
    }
  })
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
