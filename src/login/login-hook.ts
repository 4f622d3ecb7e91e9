/** The login hook: asks a business service at every login whether the user may log in and which
 *  claims the user has. It joins an account system to the gateway. */
import type { Clock } from '../clock.ts'
import type { LoginHookConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Tracer } from '../http/tracer.ts'
import type { Claims } from '../identity/principal.ts'
import type { RecordedLogin } from '../identity/users.ts'
import { withoutIdentity } from '../identity/without-identity.ts'
import type { Log } from '../telemetry/log.ts'
import { CallFailure, callUpstream } from '../upstream/call.ts'
import type { Upstream } from '../upstream/upstreams.ts'
import { type HookAnswer, readHookAnswer } from './login-hook-answer.ts'

/** A longer answer is a failure. */
const MAX_ANSWER_BYTES = 64 * 1024

const FAILED = new ApiError(
  'upstream_unavailable',
  'The service that decides about logins did not answer. Call wx.login again shortly.',
  { retryAfter: 2 }
)

export interface LoginHook {
  /** Throws login_blocked when the service refuses the user, and upstream_unavailable when the
   *  service fails and its answer is required. Settles within `timeout`. */
  ask(login: HookedLogin): Promise<HookVerdict>
}

/** The part of the hook's answer that a login uses. */
export type HookVerdict = Pick<HookAnswer, 'claims' | 'profile'>

export interface HookedLogin extends Omit<RecordedLogin, 'sessionId'> {
  readonly app: { readonly appId: string }
  /** For the service's own log. */
  readonly requestId: string
  readonly traceparent: string
}

export interface LoginHookOptions {
  readonly config: LoginHookConfig
  readonly upstream: Upstream
  readonly clock: Clock
  readonly log: Log
  readonly tracer: Pick<Tracer, 'calls'>
}

export function createLoginHook({ config, upstream, clock, log, tracer }: LoginHookOptions): LoginHook {
  async function call(login: HookedLogin): Promise<HookAnswer> {
    const { app, user, isNew, linkedIds, isLinked, requestId, traceparent } = login
    const { status, target, json } = await callUpstream(upstream, clock, {
      path: config.path,
      headers: { 'x-request-id': requestId, traceparent },
      json: JSON.stringify({
        appid: app.appId,
        openid: user.openId,
        unionid: user.unionId,
        user: { id: user.id, status: user.status, ...(linkedIds.length > 0 ? { linked_ids: linkedIds } : {}) },
        is_new: isNew,
        ...(isLinked ? { event: 'user_linked' } : {})
      }),
      key: user.openId,
      timeoutMs: config.timeout,
      maxBytes: MAX_ANSWER_BYTES,
      tracer
    })
    const answer = readHookAnswer(status, json, config.claims)
    if (answer === null) throw new CallFailure(`status ${status}`, status, target)
    return answer
  }

  return {
    async ask(login) {
      let answer: HookAnswer
      try {
        answer = await call(login)
      } catch (error) {
        // Any other error is a fault of the gateway.
        if (!(error instanceof CallFailure)) throw error
        const { reason, target } = error
        const place = { upstream: upstream.config.name, target }
        const fields = { event: 'login_hook_failed', reason, ...place, app: login.app.appId, user: login.user.id }
        log.warn({ ...fields, onFailure: config.onFailure }, 'the login hook gave no valid answer')
        if (config.onFailure === 'refuse') throw FAILED
        return { claims: {} satisfies Claims, profile: null }
      }
      if (answer.denial !== null) throw new ApiError('login_blocked', answer.denial)
      if (answer.ignored.length > 0) {
        const fields = { event: 'login_hook_ignored', app: login.app.appId, ignored: answer.ignored }
        log.warn(fields, 'the login hook set members that it may not set, or too large ones')
      }
      return { claims: answer.claims, profile: answer.profile === null ? null : withoutIdentity(answer.profile) }
    }
  }
}
