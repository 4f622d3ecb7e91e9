/** The gateway's endpoints that begin, renew and end a session, and how often each may be tried. */
import { createError, type WxgateError } from './errors'
import { pauseBefore } from './retry'
import type { User } from './storage'
import type { Transport } from './transport'

/** Milliseconds. The gateway answers a refresh, and a login code, a second time within 10 s: a repeat has to arrive in that
 *  time. */
const TIMEOUT = 8_000

/** Wire format of POST /auth/login and /auth/refresh. */
export interface Grant {
  readonly access_token: string
  readonly refresh_token: string
  /** Seconds from now. */
  readonly expires_in: number
  readonly user?: User
}

export interface SessionCalls {
  logIn(): Promise<Grant>
  refresh(refreshToken: string): Promise<Grant>
  /** False when the gateway could not be told. */
  logOut(accessToken: string, refreshToken: string, all: boolean): Promise<boolean>
}

export interface SessionCallsOptions {
  readonly base: string
  readonly appId: string
  readonly transport: Transport
  /** A code of wx.login. */
  readonly getCode: () => Promise<string>
  readonly whenShown: () => Promise<void>
}

export function createSessionCalls(options: SessionCallsOptions): SessionCalls {
  const { base, appId, transport, getCode, whenShown } = options

  async function post(path: string, data: object, accessToken?: string): Promise<unknown> {
    const header = { 'content-type': 'application/json' }
    const { result, problem } = await transport.send({
      kind: 'request',
      options: { url: base + path, method: 'POST', data, header, timeout: TIMEOUT, redirect: 'manual' },
      isUrgent: true,
      authorize: () => accessToken ?? null
    })
    if (problem) throw problem
    if (result.statusCode >= 200 && result.statusCode < 300) return result.data
    throw createError({ code: 'invalid_response', status: result.statusCode, detail: 'This was not the gateway.' })
  }

  /** Once more when the answer was lost or the gateway asks for patience. Both are safe here: the gateway gives the same
   *  answer to the same question. */
  async function postPatiently(path: string, data: object, accessToken?: string): Promise<unknown> {
    try {
      return await post(path, data, accessToken)
    } catch (caught) {
      const pause = pauseBefore(caught as WxgateError, whenShown)
      if (!pause) throw caught
      await pause
      return post(path, data, accessToken)
    }
  }

  async function refresh(refreshToken: string): Promise<Grant> {
    return toGrant(await postPatiently('/auth/refresh', { refresh_token: refreshToken }))
  }

  return {
    refresh,

    async logIn() {
      const logInWith = async (code: string) => {
        const grant = toGrant(await postPatiently('/auth/login', appId === '' ? { code } : { code, appid: appId }))
        if (typeof grant.user?.id !== 'string') throw notAGrant()
        return grant
      }
      try {
        return await logInWith(await getCode())
      } catch (caught) {
        if (!isCodeSpent(caught as WxgateError)) throw caught
        return logInWith(await getCode())
      }
    },

    async logOut(accessToken, refreshToken, all) {
      const data = all ? { all: true } : {}
      try {
        try {
          await postPatiently('/auth/logout', data, accessToken)
        } catch (caught) {
          if ((caught as WxgateError).action !== 'refresh') throw caught
          await post('/auth/logout', data, (await refresh(refreshToken)).access_token)
        }
        return true
      } catch (caught) {
        // A session that the gateway does not know any more has ended.
        return (caught as WxgateError).action === 'login' && !all
      }
    }
  }
}

/** The code was used, by a request of ours whose answer was lost, or took too long on the way. */
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
  return createError({ code: 'invalid_response', status: 200, detail: 'This was not the gateway.' })
}
