/** Where the process stands between its first and its last breath. */

export interface Lifecycle {
  /** The stores and feeds have been read: traffic may come. */
  isReady: boolean
  /** With several workers: all of them are. */
  isGroupReady: boolean
  /** Asked to leave: readiness says so, requests are still served. */
  isDraining: boolean
}

export const createLifecycle = (): Lifecycle => ({ isReady: false, isGroupReady: true, isDraining: false })
