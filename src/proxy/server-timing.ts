/** Server-Timing of an answer: the time in the gateway and in the backend. */

/** Value of the header: milliseconds up to the last try, and from there to the head of its answer.
 *  @param askedAt Of `performance.now()`, at the start of that try. */
export function timing(
  { startedAt, upstreamMs }: { readonly startedAt: number; readonly upstreamMs: number },
  askedAt: number
): string {
  const gatewayMs = askedAt - startedAt
  return `wxgate;dur=${gatewayMs.toFixed(1)}, upstream;dur=${(upstreamMs - gatewayMs).toFixed(1)}`
}
