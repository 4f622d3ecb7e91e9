/** RateLimit headers (draft-ietf-httpapi-ratelimit-headers): a client sees its limit before it is
 *  refused. */

/** The state of a limit after a request was counted. */
export interface Quota {
  /** Requests in one window. */
  readonly max: number
  /** Milliseconds. */
  readonly window: number
  /** Requests left in this window. */
  readonly remaining: number
  /** Milliseconds to the next window. */
  readonly resetsIn: number
}

/** Names the limit of the gateway beside those that a backend may report. */
const POLICY = '"wxgate"'

export function rateLimitHeaders({ max, window, remaining, resetsIn }: Quota): Record<string, string> {
  return {
    'RateLimit-Policy': `${POLICY};q=${max};w=${seconds(window)}`,
    RateLimit: `${POLICY};r=${remaining};t=${seconds(resetsIn)}`
  }
}

/** Whole seconds, as the draft has it; never too few. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1000))
}
