/** The limits of calls to WeChat's API. */
import type { GatewayConfig } from '../config/config.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import { createWxapiLimits, type WxapiLimits } from '../service/wxapi-limits.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

/** A reload keeps the counters while the limits stay the same. */
export function borrowWxapiLimits(
  { service, apps }: GatewayConfig,
  { store, clock }: Shared,
  { borrow }: Pick<Borrower, 'borrow'>
): Promise<WxapiLimits> {
  const ofTokens = service.tokens.map(({ name, wxapiLimit }) => ({ name, wxapiLimit }))
  const ofApps = apps.map(({ appId, wxapiLimit }) => ({ appId, wxapiLimit }))
  return borrow('wxapi-limits', [ofTokens, ofApps], () =>
    createWxapiLimits({
      tokens: ofTokens,
      apps: ofApps,
      createRateLimiter: (name, limit) => createRateLimiter({ store, clock, name, isLenient: true, ...limit })
    })
  )
}
