/** The parts behind /auth/login and /auth/refresh. */
import type { GatewayConfig } from '../config/config.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { RefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import { createLogin, type Login } from '../login/login.ts'
import { createLoginCodes } from '../login/login-codes.ts'
import { createLoginHook } from '../login/login-hook.ts'
import { createRefresh, type Refresh } from '../login/refresh.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { Borrower } from './lender.ts'
import type { Parts } from './parts.ts'
import type { Shared } from './shared.ts'

/** A login code or refresh token gets the same answer again for this long. */
export const REPEAT_WINDOW_MS = 10_000

type Needed = Pick<Parts, 'users' | 'sessions' | 'sessionKeys' | 'grants' | 'platforms' | 'loginLimiter'> & {
  readonly sessionEnding: SessionEnding
  readonly refreshTokens: RefreshTokens
  readonly upstreams: Upstreams
}

export async function borrowLogin(
  config: GatewayConfig,
  { store, clock, log, metrics }: Shared,
  { borrow }: Borrower,
  parts: Needed
): Promise<{ login: Login; refresh: Refresh }> {
  const { users, sessions, sessionKeys, grants, platforms, loginLimiter, sessionEnding, refreshTokens, upstreams } =
    parts
  const { apps } = config
  const { hook } = config.login
  const limitBy = config.server.loginLimit.by
  const timeoutMs = config.wechat.timeout + (hook?.timeout ?? 0)
  const codes = await borrow('login-codes', [timeoutMs], () =>
    createLoginCodes({ store, timeoutMs, repeatWindowMs: REPEAT_WINDOW_MS })
  )
  const loginHook =
    hook &&
    (await borrow('login-hook', [hook, upstreams], () =>
      createLoginHook({ config: hook, upstream: upstreams.get(hook.upstream), clock, log })
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
      hook: loginHook,
      grants,
      clock,
      onExchanged: metrics.loginDone
    })
  )
  const refresh = await borrow('refresh', [...subjects, refreshTokens, sessionEnding], () =>
    createRefresh({
      refreshTokens,
      sessions,
      users,
      ending: sessionEnding,
      grants,
      log,
      onRotation(outcome) {
        metrics.refreshDone(outcome)
        if (outcome === 'reused') metrics.securityEvent('refresh_reused')
      }
    })
  )
  return { login, refresh }
}
