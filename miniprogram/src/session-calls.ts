/** The gateway's endpoints that start, renew, check and end a session. */
import { createAttempt } from './attempt'
import { createError, type WxgateError } from './errors'
import { pauseBefore } from './retry'
import type { Session, User } from './storage'
import type { Transport, WxResult } from './transport'
import type { WxRequestResult } from './wx'

/** The gateway answers a repeated login or refresh for 10 s: with the grace of the transport
 *  the repeat arrives in time. */
const TIMEOUT_MS = 8_000

/** Wire format of POST /auth/login and /auth/refresh. */
export interface Grant {
  readonly access_token: string
  readonly refresh_token: string
  /** Seconds from now. */
  readonly expires_in: number
  readonly user?: User
}

export interface SessionCalls {
  logIn(): Promise<Grant & { readonly user: User }>
  refresh(session: Session): Promise<Grant>
  /** Resolves with the gateway's error when it refuses this session's access token; null when
   *  it accepts the token or cannot be asked. */
  refusalOf(session: Session): Promise<WxgateError | null>
  /** Resolves with false when the gateway could not be reached. */
  logOut(session: Session, isEverywhere: boolean): Promise<boolean>
}

export interface SessionCallsOptions {
  readonly base: string
  readonly appId: string
  readonly transport: Transport
  /** Resolves with a code of wx.login. */
  readonly getCode: () => Promise<string>
  readonly whenShown: () => Promise<void>
}

export function createSessionCalls(options: SessionCallsOptions): SessionCalls {
  const { base, appId, transport, getCode, whenShown } = options

  async function call(method: 'GET' | 'POST', path: string, data?: object, accessToken?: string): Promise<WxResult> {
    const header = { 'content-type': 'application/json' }
    const body = data ? { data } : {}
    const { result, problem } = await transport.send(
      {
        kind: 'request',
        options: { url: base + path, method, header, timeout: TIMEOUT_MS, redirect: 'manual', ...body }
      },
      { isUrgent: true, authorize: () => accessToken ?? null }
    )
    if (problem) throw problem
    if (result.statusCode >= 200 && result.statusCode < 300) return result
    throw createError({
      code: 'invalid_response',
      status: result.statusCode,
      detail: "The answer is not the gateway's."
    })
  }

  /** Repeats once after a lost answer or a Retry-After. The gateway gives the same answer to
   *  the same body. */
  async function post(path: string, data: object, accessToken?: string): Promise<unknown> {
    const once = async () => ((await call('POST', path, data, accessToken)) as WxRequestResult).data
    try {
      return await once()
    } catch (caught) {
      const pause = pauseBefore(caught as WxgateError, whenShown)
      if (!pause) throw caught
      await pause
      return once()
    }
  }

  async function refresh({ refreshToken, attempt }: Session): Promise<Grant> {
    return toGrant(await post('/auth/refresh', { refresh_token: refreshToken, attempt }))
  }

  async function logInWith(code: string): Promise<Grant & { readonly user: User }> {
    const app = appId === '' ? {} : { appid: appId }
    const grant = toGrant(await post('/auth/login', { code, attempt: createAttempt(), ...app }))
    const { user } = grant
    if (typeof user?.id !== 'string') throw notAGrant()
    return { ...grant, user }
  }

  return {
    refresh,

    async logIn() {
      try {
        return await logInWith(await getCode())
      } catch (caught) {
        if (!isCodeSpent(caught as WxgateError)) throw caught
        return logInWith(await getCode())
      }
    },

    async refusalOf({ accessToken }) {
      try {
        await call('GET', '/auth/session', undefined, accessToken)
      } catch (caught) {
        const error = caught as WxgateError
        if (error.action === 'refresh' || error.action === 'login') return error
      }
      return null
    },

    async logOut(session, isEverywhere) {
      const data = isEverywhere ? { all: true } : {}
      try {
        try {
          await post('/auth/logout', data, session.accessToken)
        } catch (caught) {
          if ((caught as WxgateError).action !== 'refresh') throw caught
          await post('/auth/logout', data, (await refresh(session)).access_token)
        }
        return true
      } catch (caught) {
        // A session that the gateway does not know has ended.
        return (caught as WxgateError).action === 'login' && !isEverywhere
      }
    }
  }
}

/** The code was used by a request whose answer was lost, or is too old. */
export function isCodeSpent({ code }: WxgateError): boolean {
  return code === 'code_used' || code === 'code_invalid'
}

function toGrant(data: unknown): Grant {
  const grant = (typeof data === 'object' && data !== null ? data : {}) as Partial<Grant>
  const { access_token, refresh_token, expires_in } = grant
  if (typeof access_token === 'string' && typeof refresh_token === 'string' && typeof expires_in === 'number') {
    return grant as Grant
  }
  throw notAGrant()
}

function notAGrant(): WxgateError {
  return createError({ code: 'invalid_response', status: 200, detail: "The answer is not the gateway's." })
}
