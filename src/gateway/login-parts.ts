/** The parts behind /auth/login and /auth/refresh. */
import type { GatewayConfig } from '../config/config.ts'
import { createLogin } from '../login/login.ts'
import { createLoginCodes } from '../login/login-codes.ts'
import { createLoginHook } from '../login/login-hook.ts'
import { createRefresh } from '../login/refresh.ts'
import { createRefreshLimit } from '../login/refresh-limit.ts'
import type { Platforms } from '../platforms/registry.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { IdentityParts } from './identity-parts.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

export type LoginParts = Awaited<ReturnType<typeof borrowLogin>>

type Needed = IdentityParts & { readonly platforms: Platforms; readonly upstreams: Upstreams }

export async function borrowLogin(
  config: GatewayConfig,
  { store, clock, log, metrics, revocations, tracer }: Shared,
  { borrow }: Borrower,
  { users, sessions, sessionKeys, grants, platforms, sessionEnding, refreshTokens, upstreams }: Needed
) {
  const { apps } = config
  const { hook } = config.login
  const { loginLimit } = config.server
  const limitBy = loginLimit.by
  const timeoutMs = config.wechat.timeout + (hook?.timeout ?? 0)
  const { repeatWindow: repeatWindowMs } = config.tokens
  const onForeignRepeat = (app: string) => {
    log.warn({ event: 'login_code_reused', app }, 'a login code was sent a second time by another sender')
    metrics.securityEvent('login_code_reused')
  }
  const loginLimiter = await borrow('login-limiter', [loginLimit], () =>
    createRateLimiter({ store, clock, name: 'login', ...loginLimit })
  )
  const codes = await borrow('login-codes', [timeoutMs, repeatWindowMs], () =>
    createLoginCodes({ store, timeoutMs, repeatWindowMs, onForeignRepeat })
  )
  const loginHook =
    hook &&
    (await borrow('login-hook', [hook, upstreams], () =>
      createLoginHook({ config: hook, upstream: upstreams.get(hook.upstream), clock, log, tracer })
    ))
  const subjects = [users, sessions, grants]
  const loginParts = [...subjects, apps, codes, loginLimiter, limitBy, platforms, sessionKeys, loginHook]
  const login = await borrow('login', loginParts, () =>
    createLogin({
      apps,
      codes,
      limiter: loginLimiter,
      limitBy,
      exchange: (app, code) => platforms.of(app.appId).login(app, code),
      users,
      sessionKeys,
      sessions,
      revocations,
      hook: loginHook,
      grants,
      clock,
      tracer,
      onLinked({ user, linkedIds }) {
        const fields = { event: 'user_linked', app: user.appId, user: user.id, linked_ids: linkedIds }
        log.info(fields, 'a user turned out to have another id, which accounts made from now on get')
      },
      onExchanged: metrics.loginDone
    })
  )
  const limiter = await borrow('refresh-limit', [], () => createRefreshLimit(clock))
  const appIds = new Set(apps.map((app) => app.appId))
  const refreshParts = [...subjects, refreshTokens, sessionEnding, limiter, [...appIds]]
  const refresh = await borrow('refresh', refreshParts, () =>
    createRefresh({
      refreshTokens,
      limiter,
      isConfigured: (appId) => appIds.has(appId),
      sessions,
      users,
      revocations,
      ending: sessionEnding,
      grants,
      log,
      onRotation(outcome) {
        metrics.refreshDone(outcome)
        if (outcome === 'reused') metrics.securityEvent('refresh_reused')
      }
    })
  )
  return { login, refresh, loginLimiter, loginCodes: codes, loginHook }
}
