/** Finds the user of a data pre-fetch, by a login code or by an access token. No session begins. */
import { ApiError } from '../errors.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import type { User, Users } from '../identity/users.ts'
import type { LoginExchange, PlatformApp } from '../platforms/port.ts'
import { checkCode } from './login.ts'
import type { LoginCodes } from './login-codes.ts'
import type { LoginHook } from './login-hook.ts'

export interface PrefetchUser extends Pick<Principal, 'appId' | 'openId' | 'unionId'> {
  /** Null for a user who never logged in. */
  readonly userId: string | null
  /** Null for a user found by a code. */
  readonly sessionId: string | null
}

export interface PrefetchUsersDeps {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly codes: LoginCodes
  readonly exchange: (app: PlatformApp, code: string) => Promise<LoginExchange>
  readonly users: Pick<Users, 'find' | 'linkedIds'>
  readonly sessionKeys: Pick<SessionKeys, 'save'>
  readonly hook: LoginHook | null
  readonly clock: { now(): number }
}

export interface PrefetchUsers {
  /** The owner of an access token of this app. */
  byToken(app: PlatformApp, token: string): PrefetchUser
  /** The user whose code it is. The code is exchanged once: a login refuses it afterwards. Where a
   *  login hook decides about users, it is asked about a known user and any other is refused. */
  byCode(app: PlatformApp, code: string, trace: Trace): Promise<PrefetchUser>
}

interface Trace {
  readonly requestId: string
  readonly traceparent: string
}

const NO_TOKEN = new ApiError('token_invalid', 'The token is not an access token of this mini-program.')
const USED = new ApiError('code_used', 'The code was already used.')
const USED_HERE = new ApiError('code_used', 'The code was used for a data pre-fetch. Call wx.login again.')
const NO_LOGIN = new ApiError('login_blocked', 'The user has not logged in yet.')

export function createPrefetchUsers(deps: PrefetchUsersDeps): PrefetchUsers {
  const { authenticator, codes, exchange, users, sessionKeys, hook, clock } = deps

  async function consult(app: PlatformApp, user: User | null, trace: Trace): Promise<void> {
    if (hook === null) return
    if (user === null) throw NO_LOGIN
    const linkedIds = await users.linkedIds(user)
    await hook.ask({ app, user, isNew: false, linkedIds, isLinked: false, ...trace })
  }

  /** Exchanges a code that no other caller has sent. It is spent from then on, whatever follows. */
  async function spend(app: PlatformApp, code: string): Promise<LoginExchange> {
    const claim = codes.open(app.appId, code, null)
    if (!(await claim.take())) throw USED
    try {
      const exchanged = await exchange(app, code)
      await claim.fail(USED_HERE)
      return exchanged
    } catch (error) {
      await claim.fail(error)
      throw error
    }
  }

  return {
    byToken(app, token) {
      const sender = authenticator.authenticate(`Bearer ${token}`)
      if (sender instanceof ApiError) throw sender
      if (sender === null || sender.appId !== app.appId) throw NO_TOKEN
      const { appId, openId, unionId, userId, sessionId } = sender
      return { appId, openId, unionId, userId, sessionId }
    },

    async byCode(app, code, trace) {
      checkCode(code)
      const { appId } = app
      const exchangedAt = clock.now()
      const { openId, unionId, sessionKey } = await spend(app, code)
      const user = await users.find(appId, openId)
      // The exchange may have replaced the session_key that an earlier login stored.
      if (user !== null) await sessionKeys.save(appId, openId, sessionKey, exchangedAt)
      await consult(app, user, trace)
      return { appId, openId, unionId: unionId ?? user?.unionId ?? null, userId: user?.id ?? null, sessionId: null }
    }
  }
}
