/** Turns a login code of the mini-program into a session. `steps` is the protocol, one line per
 *  step. */
import type { Clock } from '../clock.ts'
import { ApiError, type ErrorCode, StoreError, toApiError } from '../errors.ts'
import type { Tracer } from '../http/tracer.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import { isEnded, type Sessions } from '../identity/sessions.ts'
import type { Grant, Grants } from '../identity/tokens/grants.ts'
import type { RecordedLogin, Users } from '../identity/users.ts'
import type { LoginExchange, PlatformApp } from '../platforms/port.ts'
import type { LoginCode, LoginCodes, LoginResult } from './login-codes.ts'
import type { HookVerdict, LoginHook } from './login-hook.ts'

export interface LoginRequest {
  readonly code: string
  /** Optional when one app is configured. */
  readonly appId: string | undefined
  /** Random text of the sender that binds a repeat to it; null when none was sent. */
  readonly attempt: string | null
  /** The client that the login limit counts. */
  readonly clientKey: string
  readonly requestId: string
  readonly traceparent: string
}

export interface LoginAnswer extends Grant {
  readonly user: Readonly<Record<string, unknown>>
}

export interface LoginDeps {
  readonly apps: readonly PlatformApp[]
  readonly codes: LoginCodes
  readonly limiter: { hit(key: string): Promise<unknown> }
  readonly limitBy: 'app' | 'ip'
  readonly exchange: (app: PlatformApp, code: string) => Promise<LoginExchange>
  readonly users: Pick<Users, 'recordLogin' | 'find'>
  readonly sessionKeys: Pick<SessionKeys, 'save'>
  readonly sessions: Pick<Sessions, 'begin' | 'find'>
  readonly revocations: Pick<Revocations, 'epochOf' | 'hasEnded'>
  readonly hook: LoginHook | null
  readonly grants: Grants
  readonly clock: Pick<Clock, 'now'>
  readonly tracer: Pick<Tracer, 'step'>
  /** Called once for two ids of one person. */
  readonly onLinked: (recorded: RecordedLogin) => void
  /** Called after every exchange of a code. */
  readonly onExchanged: (appId: string, result: 'ok' | ErrorCode) => void
}

export interface Login {
  /** Equal codes get the same answer when sent at the same time or within the repeat window. */
  logIn(request: LoginRequest): Promise<LoginAnswer>
}

const WHICH_APP = new ApiError(
  'invalid_request',
  'Several mini-programs are configured: send "appid" along with the code.'
)
const UNKNOWN_APP = new ApiError('invalid_request', 'The appid is not one of the mini-programs configured here.')

/** WeChat publishes no grammar for codes. These are the characters that a URL query holds
 *  unencoded. */
const CODE = /^[A-Za-z0-9_.~-]{1,512}$/
const BAD_CODE = new ApiError(
  'invalid_request',
  '"code" is not a login code: it has 1 to 512 letters, digits and the characters _ . ~ -'
)
const MOCK_CODE = new ApiError(
  'code_invalid',
  'The developer tools gave a mock code, because the project has no AppID. Set the AppID in project.config.json.'
)

/** Throws for a text that no platform issues as a code. */
export function checkCode(code: string): void {
  if (/^the code is a mock one$/i.test(code.trim())) throw MOCK_CODE
  if (!CODE.test(code)) throw BAD_CODE
}

export function createLogin(deps: LoginDeps): Login {
  const { apps, users, sessions, sessionKeys, hook, grants, clock, tracer } = deps
  const underWay = new Map<string, Promise<LoginResult>>()

  async function steps(app: PlatformApp, request: LoginRequest): Promise<LoginResult> {
    const code = deps.codes.open(app.appId, request.code, request.attempt)
    const earlier = await tracer.step('login.claim', () => claim(code, app, request))
    if (earlier !== null) return earlier
    try {
      const exchangedAt = clock.now()
      const exchanged = await tracer.step('login.exchange', () => deps.exchange(app, request.code))
      const recorded = await tracer.step('login.record', () => record(app, exchanged, exchangedAt))
      const verdict = await consult(app, recorded, request)
      const result = await tracer.step('login.begin', () => begin(recorded, verdict))
      await tracer.step('login.settle', () => code.settle(result))
      deps.onExchanged(app.appId, 'ok')
      return result
    } catch (error) {
      deps.onExchanged(app.appId, toApiError(error).code)
      await code.fail(error)
      throw error
    }
  }

  /** Returns the result of an earlier login with this code, or null once the code is claimed.
   *  Limit and claim go to the store together, which saves a round trip. The answer of a session
   *  that has since ended does not count: the platform decides whether the code is still valid. */
  async function claim(code: LoginCode, app: PlatformApp, { clientKey }: LoginRequest): Promise<LoginResult | null> {
    const limited = deps.limiter.hit(deps.limitBy === 'app' ? app.appId : clientKey)
    const [taken, admitted] = await Promise.allSettled([code.take(), limited])
    if (admitted.status === 'rejected') {
      if (taken.status === 'fulfilled' && taken.value) await code.release()
      throw admitted.reason
    }
    if (taken.status === 'rejected') throw taken.reason
    let isClaimed = taken.value
    while (!isClaimed) {
      const earlier = await code.wait()
      if (earlier === null) return null
      if (await isAlive(earlier.result)) return earlier.result
      isClaimed = await code.replace(earlier)
    }
    return null
  }

  async function isAlive({ session }: LoginResult): Promise<boolean> {
    if (deps.revocations.hasEnded(session)) return false
    const [found, user] = await Promise.all([sessions.find(session.id), users.find(session.appId, session.openId)])
    return found !== null && !isEnded(found.session) && user !== null && user.epoch <= session.epoch
  }

  async function record({ appId }: PlatformApp, exchanged: LoginExchange, exchangedAt: number): Promise<RecordedLogin> {
    const { openId, unionId, sessionKey } = exchanged
    const epoch = deps.revocations.epochOf(appId, openId)
    const saved = sessionKeys.save(appId, openId, sessionKey, exchangedAt)
    const [recorded] = await Promise.all([users.recordLogin(appId, openId, unionId, epoch), saved])
    if (recorded.isLinked) deps.onLinked(recorded)
    return recorded
  }

  async function consult(
    app: PlatformApp,
    recorded: RecordedLogin,
    { requestId, traceparent }: LoginRequest
  ): Promise<HookVerdict> {
    if (hook === null) return { claims: {}, profile: null }
    return tracer.step('login.hook', () => hook.ask({ app, ...recorded, requestId, traceparent }))
  }

  async function begin(recorded: RecordedLogin, { claims, profile }: HookVerdict): Promise<LoginResult> {
    const { appId, openId } = recorded.user
    // The hook may have ended all sessions of the user, so read the record again.
    const user = hook === null ? recorded.user : await users.find(appId, openId)
    if (user === null) throw new StoreError('the user record was removed during the call')
    const { id: userId, unionId, epoch, status } = user
    const session = await sessions.begin({ id: recorded.sessionId, appId, openId, unionId, userId, epoch, claims })
    return { session, status, isNew: recorded.isNew, profile }
  }

  function chooseApp(appId: string | undefined): PlatformApp {
    if (appId === undefined && apps.length !== 1) throw WHICH_APP
    const app = appId === undefined ? apps[0] : apps.find((one) => one.appId === appId)
    if (app === undefined) throw UNKNOWN_APP
    return app
  }

  /** Callers of this process that send one code at the same time share one run. */
  function share(key: string, run: () => Promise<LoginResult>): Promise<LoginResult> {
    const running = underWay.get(key)
    if (running !== undefined) return running
    const started = run().finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }

  return {
    async logIn(request) {
      checkCode(request.code)
      const app = chooseApp(request.appId)
      const result = await share(`${app.appId}:${request.code}:${request.attempt ?? ''}`, () => steps(app, request))
      const { session, status, isNew, profile } = result
      // The tokens depend on the session alone: every instance gives the same answer.
      const grant = grants.issue(session, status)
      return { ...grant, user: { ...profile, id: session.userId, is_new: isNew, status } }
    }
  }
}
