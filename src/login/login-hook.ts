/** The login hook: a business service is told of every login, and says what the user may be called and whether they may come
 *  in. That joins an account system to the gateway without the gateway becoming one. */
import type { LoginHookConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { readAhead } from '../http/body/read-ahead.ts'
import type { Claims } from '../identity/principal.ts'
import type { User } from '../identity/users.ts'
import { withoutIdentity } from '../identity/without-identity.ts'
import type { Log } from '../telemetry/log.ts'
import { codeOf, isNotConnected } from '../upstream/failures.ts'
import { mayRetry } from '../upstream/retries.ts'
import { avoid, type Target, type Upstream } from '../upstream/upstreams.ts'
import { type HookAnswer, readHookAnswer } from './login-hook-answer.ts'

/** Bytes of an answer; more is a failure. */
const MAX_ANSWER = 64 * 1024

const FAILED = new ApiError(
  'upstream_unavailable',
  'The service that decides about logins did not answer. Call wx.login again shortly.',
  { retryAfter: 2 }
)

export interface LoginHook {
  /** Throws login_blocked when the service refuses the user, and upstream_unavailable when it fails and a login without its
   *  word is not wanted. Settles within `timeout`. */
  ask(login: HookedLogin): Promise<HookVerdict>
}

/** What a login takes over from the hook's answer. */
export type HookVerdict = Pick<HookAnswer, 'claims' | 'profile'>

export interface HookedLogin {
  readonly app: { readonly appId: string }
  readonly user: User
  readonly isNew: boolean
  /** For the service's own log. */
  readonly requestId: string
  readonly traceparent: string
}

/** Why there is no answer; a word for our log. */
class HookFailure extends Error {}

export interface LoginHookOptions {
  readonly config: LoginHookConfig
  readonly upstream: Upstream
  readonly log: Log
}

export function createLoginHook({ config, upstream, log }: LoginHookOptions): LoginHook {
  async function call(login: HookedLogin): Promise<HookAnswer> {
    const { app, user, isNew, requestId, traceparent } = login
    const body = JSON.stringify({
      appid: app.appId,
      openid: user.openId,
      unionid: user.unionId,
      user: { id: user.id, status: user.status },
      is_new: isNew
    })
    const headers = {
      'content-type': 'application/json',
      accept: 'application/json',
      'x-request-id': requestId,
      traceparent
    }
    const { status, text } = await send({ body, headers, signal: AbortSignal.timeout(config.timeout) }, user.openId)
    const answer = readHookAnswer(status, text, config.claims)
    if (answer === null) throw new HookFailure(`status ${status}`)
    return answer
  }

  /** Only a connection that was never made is tried again elsewhere: the service may have acted on anything else. */
  async function send(request: HookRequest, key: string): Promise<{ status: number; text: string }> {
    let tried: Target[] = []
    for (let retries = 0; ; retries++) {
      const target = upstream.pick(key, tried.length === 0 ? null : tried)
      if (!target) throw new HookFailure('no target')
      target.inFlight++
      try {
        return await exchange(target, config.path, request)
      } catch (error) {
        const isUnreached = isNotConnected(error)
        if (isUnreached) avoid(target)
        if (!isUnreached || !mayRetry(upstream.config.retries, 'connect', retries, 'POST', true)) throw error
        tried = tried.length + 1 < upstream.targets.length ? [...tried, target] : []
      } finally {
        target.inFlight--
      }
    }
  }

  return {
    async ask(login) {
      let answer: HookAnswer
      try {
        answer = await call(login)
      } catch (error) {
        const reason = error instanceof HookFailure ? error.message : codeOf(error) || 'timeout or no connection'
        const fields = { event: 'login_hook_failed', reason, app: login.app.appId, user: login.user.id }
        log.warn({ ...fields, onFailure: config.onFailure }, 'the login hook gave no usable answer')
        if (config.onFailure === 'refuse') throw FAILED
        return { claims: {} satisfies Claims, profile: null }
      }
      if (answer.denial !== null) throw new ApiError('login_blocked', answer.denial)
      if (answer.ignored.length > 0) {
        const fields = { event: 'login_hook_ignored', app: login.app.appId, ignored: answer.ignored }
        log.warn(fields, 'the login hook set what it may not, or too much of it')
      }
      return { claims: answer.claims, profile: answer.profile === null ? null : withoutIdentity(answer.profile) }
    }
  }
}

interface HookRequest {
  readonly body: string
  readonly headers: Record<string, string>
  readonly signal: AbortSignal
}

async function exchange(target: Target, path: string, request: HookRequest): Promise<{ status: number; text: string }> {
  const { statusCode, body } = await target.pool.request({ method: 'POST', path, ...request })
  const { head, rest } = await readAhead(body, (size) => size > MAX_ANSWER)
  if (rest === null) return { status: statusCode, text: head.toString('utf8') }
  rest.destroy()
  throw new HookFailure('the answer is too large')
}
