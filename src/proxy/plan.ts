/** A route with everything needed to serve it, built once per configuration. */
import type { Clock } from '../clock.ts'
import type { RouteConfig } from '../config/config.ts'
import type { BodyLimits } from '../http/body/request-body.ts'
import type { Principal } from '../identity/principal.ts'
import type { ConcurrencyLimit } from '../routing/concurrency.ts'
import type { Cors } from '../routing/cors.ts'
import type { Gate } from '../routing/gate.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import type { Upstream } from '../upstream/upstreams.ts'
import type { RequestEdits } from './request-edits.ts'
import type { BodyTransform } from './transforms/transform.ts'

/** Null: none fits.
 *  @param kept The client's headers, name and value in turns. */
export type VariantFor = (kept: readonly string[], principal: Principal | null) => PlannedRoute | null

export interface RoutePlan {
  readonly upstream: Upstream
  /** Host for the upstream: a name, or `client`; null for the target's own. */
  readonly host: string | null
  /** Null: the client's headers go upstream unchanged. */
  readonly edits: RequestEdits | null
  /** Limit for the time from the last byte of the request to the head of the response. */
  readonly responseTimeoutMs: number
  readonly bodyLimits: BodyLimits
  /** Null: neither `ip` nor `maintenance`. */
  readonly gate: Gate | null
  /** Null: pages of other origins may not call it. */
  readonly cors: Cors | null
  /** The route of a variant that fits. Null: the route has no variants. */
  readonly variantFor: VariantFor | null
  /** Null for a route without a limit. */
  readonly limiter: RateLimiter | null
  readonly concurrency: ConcurrencyLimit | null
  /** Null: bodies stream through unchanged. */
  readonly bodies: BodyTransform | null
  /** Header lines of a principal on this route, kept as long as its token. */
  readonly identities: WeakMap<Principal, string>
}

export interface PlannedRoute extends RouteConfig {
  readonly plan: RoutePlan
}

/** Latest time for the head of a response, in monotonic milliseconds: the `timeout` of a route
 *  covers the wait for a target and all tries. */
export function deadlineOf({ timeout }: Pick<PlannedRoute, 'timeout'>, clock: Pick<Clock, 'monotonic'>): number {
  return timeout === null ? Number.POSITIVE_INFINITY : clock.monotonic() + timeout
}
