/** Readiness flags behind /readyz. */

export interface Lifecycle {
  /** The store and its revocation feed have been read once. */
  isReady: boolean
  /** With several workers: all of them are ready. */
  isGroupReady: boolean
  /** The process will end soon: /readyz reports it, requests are still served. */
  isDraining: boolean
}

export const createLifecycle = (): Lifecycle => ({ isReady: false, isGroupReady: true, isDraining: false })

/** /readyz answers 200.
 *  @param revocations `isTrusted` is false once the revocation feed has been unreadable for longer
 *  than its grace. */
export function isReady({
  lifecycle,
  revocations
}: {
  readonly lifecycle: Readonly<Lifecycle>
  readonly revocations: { readonly isTrusted: boolean }
}): boolean {
  return lifecycle.isReady && lifecycle.isGroupReady && !lifecycle.isDraining && revocations.isTrusted
}
