/** A call of the mini-program's, from the first try to what the caller gets to see. */
import type { Account } from './account'
import { createError, headerOf, type WxgateError } from './errors'
import { pauseBefore } from './retry'
import type { Runtime } from './runtime'
import { isCodeSpent } from './session-calls'
import type { Session } from './storage'
import type { Handle } from './task'
import type { Send, Transport } from './transport'
import type { Urls } from './urls'
import type { WxRequestOptions, WxRequestResult } from './wx'

/** As in gateway.yaml: with a login, with one if there is one, without. */
export type Auth = 'required' | 'optional' | 'public'

export interface Exchange {
  perform(what: Send, options: ExchangeOptions, handle?: Handle): Promise<WxRequestResult>
}

export interface ExchangeOptions {
  readonly auth: Auth
  /** The body holds what was encrypted with session_key. */
  readonly needsSessionKey: boolean
}

const MAX_REDIRECTS = 5

export interface ExchangeDependencies {
  readonly account: Account
  readonly transport: Transport
  readonly runtime: Runtime
  readonly urls: Urls
}

export function createExchange({ account, transport, runtime, urls }: ExchangeDependencies): Exchange {
  const { whenShown } = runtime

  async function perform(what: Send, options: ExchangeOptions, handle?: Handle): Promise<WxRequestResult> {
    const { visit } = account
    const isRepeatable = isIdempotent(what)
    // Each is done once: a token that was just issued and is refused again will not get better.
    let isRefreshed = false
    let isLoggedIn = false
    let isRepeated = false

    if (options.needsSessionKey && !(await runtime.checkSession())) {
      // What was encrypted before is still read: the gateway keeps the key before the newest one for a while.
      await account.logInAnew(visit)
      isLoggedIn = true
    }
    for (;;) {
      let session = await sessionFor(options.auth, visit)
      try {
        const { result, problem } = await transport.send({
          ...what,
          ...(handle ? { handle } : {}),
          authorize() {
            // It may have waited in the queue while the token was renewed.
            if (session && account.visit === visit) session = account.current() ?? session
            return session?.accessToken ?? null
          }
        })
        if (!problem) return result
        throw problem
      } catch (caught) {
        const error = caught as WxgateError
        if (handle?.isAborted) throw aborted(error)
        if (error.code === 'session_key_stale') {
          if (!isLoggedIn) await account.logInAnew(visit)
          throw error
        }
        if (session && error.action === 'refresh' && !isRefreshed) {
          isRefreshed = true
          await account.replace(session, error, visit)
        } else if (session && error.action === 'login' && !isCodeSpent(error) && !isLoggedIn) {
          isLoggedIn = true
          await account.replace(session, error, visit)
        } else {
          const pause = isRepeatable && !isRepeated ? pauseBefore(error, whenShown) : null
          if (!pause) throw error
          isRepeated = true
          await pause
        }
      }
    }
  }

  async function sessionFor(auth: Auth, visit: number): Promise<Session | null> {
    if (auth === 'public' || (auth === 'optional' && !account.current())) return null
    return account.ensure(visit)
  }

  /** wx would take the token along to wherever the answer points; so redirects are followed here. */
  async function followRedirects(options: WxRequestOptions, settings: ExchangeOptions, handle?: Handle) {
    let next = options
    let auth = settings.auth
    for (let hop = 0; ; hop++) {
      const result = await perform({ kind: 'request', options: next }, { ...settings, auth }, handle)
      const location = headerOf(result.header, 'location')
      if (location === undefined || hop >= MAX_REDIRECTS || !isRedirect(result.statusCode)) return result
      const url = urls.follow(next.url, location)
      const isInside = urls.isUnderBase(url)
      const isSameMethod = result.statusCode === 307 || result.statusCode === 308
      const method = isSameMethod || isReading(next.method) ? next.method : 'GET'
      // What was written for the gateway is for the gateway.
      if (!isInside && !isReading(method)) return result
      if (!isInside) auth = 'public'
      const { data, header, method: _method, ...rest } = next
      next = {
        ...rest,
        url,
        ...(method === undefined ? {} : { method }),
        ...(isSameMethod && !isReading(method) && data !== undefined ? { data } : {}),
        ...(isInside && header !== undefined ? { header } : {})
      }
    }
  }

  return {
    perform(what, options, handle) {
      if (what.kind !== 'request') return perform(what, options, handle)
      const { redirect } = what.options
      const manual: WxRequestOptions = { ...what.options, redirect: 'manual' }
      if (redirect === 'manual') return perform({ kind: 'request', options: manual }, options, handle)
      return followRedirects(manual, options, handle)
    }
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

function isReading(method: string | undefined): boolean {
  return method === undefined || method === 'GET' || method === 'HEAD'
}

/** Whether doing it twice is the same as once (RFC 9110, section 9.2.2). */
function isIdempotent(what: Send): boolean {
  if (what.kind === 'uploadFile') return false
  if (what.kind === 'downloadFile') return true
  const { method } = what.options
  return isReading(method) || method === 'PUT' || method === 'DELETE' || method === 'OPTIONS' || method === 'TRACE'
}

function aborted(error: WxgateError): WxgateError {
  return error.code === 'aborted' ? error : createError({ code: 'aborted', detail: 'The request was aborted.' })
}
