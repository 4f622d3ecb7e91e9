/** The parts behind /wechat/prefetch. */
import type { GatewayConfig } from '../config/config.ts'
import type { PrefetchSource } from '../edge/prefetch.ts'
import { createPrefetchUsers } from '../login/prefetch-users.ts'
import type { Platforms } from '../platforms/registry.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import { callUpstream } from '../upstream/call.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { IdentityParts } from './identity-parts.ts'
import type { Borrower } from './lender.ts'
import type { LoginParts } from './login-parts.ts'
import type { Shared } from './shared.ts'

type Needed = Pick<IdentityParts, 'authenticator' | 'users' | 'sessionKeys'> &
  Pick<LoginParts, 'loginCodes' | 'loginHook'> & { readonly platforms: Platforms; readonly upstreams: Upstreams }

export async function borrowPrefetch(
  config: GatewayConfig,
  { store, clock, tracer }: Shared,
  { borrow }: Borrower,
  { authenticator, users, sessionKeys, loginCodes, loginHook, platforms, upstreams }: Needed
) {
  const parts = [authenticator, users, sessionKeys, loginCodes, loginHook, platforms]
  const prefetchUsers = await borrow('prefetch-users', parts, () =>
    createPrefetchUsers({
      authenticator,
      codes: loginCodes,
      exchange: (app, code) => platforms.of(app.appId).login(app, code),
      users,
      sessionKeys,
      hook: loginHook,
      clock
    })
  )
  const sources = new Map<string, PrefetchSource>()
  for (const { appId, prefetch } of config.apps) {
    if (prefetch === null) continue
    const source = await borrow('prefetch', [appId, prefetch, upstreams], (): PrefetchSource => {
      const { upstream, path, timeout: timeoutMs, rateLimit } = prefetch
      return {
        limiter: createRateLimiter({ store, clock, name: `prefetch:${appId}`, isLenient: true, ...rateLimit }),
        ask: (call) => callUpstream(upstreams.get(upstream), clock, { ...call, path, timeoutMs, tracer })
      }
    })
    sources.set(appId, source)
  }
  return { prefetchUsers, sources }
}
