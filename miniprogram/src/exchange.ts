/** One call of the mini-program, from the first try to the result. */
import type { Account, Visit } from './account'
import type { WxgateError } from './errors'
import { hasBody, isIdempotent } from './method'
import { pauseBefore } from './retry'
import { isCodeSpent } from './session-calls'
import type { Session } from './storage'
import type { Handle } from './task'
import type { Send, SendOptions, Transport, WxResult } from './transport'

/** As in gateway.yaml: with a login, with a session if there is one, without a token. */
export type Auth = 'required' | 'optional' | 'public'

export interface Exchange {
  perform(what: Send, options: ExchangeOptions, handle?: Handle): Promise<WxResult>
}

export interface ExchangeOptions {
  readonly auth: Auth
  /** The body holds data that was encrypted with session_key. */
  readonly needsSessionKey: boolean
  /** The route has an encrypted channel. */
  readonly isSealed?: boolean
}

export interface ExchangeDependencies {
  readonly account: Account
  readonly transport: Transport
  readonly checkSession: () => Promise<boolean>
  readonly whenShown: () => Promise<void>
}

export function createExchange({ account, transport, checkSession, whenShown }: ExchangeDependencies): Exchange {
  async function sessionFor(auth: Auth, visit: Visit): Promise<Session | null> {
    if (auth === 'public' || (auth === 'optional' && !account.current())) return null
    return account.ensure(visit)
  }

  /** Looks for a refusal behind a lost connection: the gateway may have refused the token while
   *  the body was being sent. Resolves with the refusal only when a repeat cannot carry out the
   *  call twice. */
  async function refusalBehind({ code }: WxgateError, what: Send, sent: Sent): Promise<WxgateError | null> {
    const { session } = sent
    if (!session || code !== 'network' || !hasBody(what) || sent.isComplete) return null
    const refusal = await account.refusalOf(session)
    if (!refusal || isIdempotent(what)) return refusal
    // The token may have expired after the gateway had accepted the call.
    if (Date.now() >= session.expiresAt) return null
    return refusal.action === 'refresh' || what.kind === 'uploadFile' ? refusal : null
  }

  return {
    async perform(what, { auth, needsSessionKey, isSealed = false }, handle) {
      const { visit } = account
      const isRepeatable = isIdempotent(what)
      // Each is done once: a new token that is refused again stays refused.
      let isRefreshed = false
      let isLoggedIn = false
      let isRepeated = false

      if (needsSessionKey && !(await checkSession())) {
        // Data encrypted before this login can still be read: the gateway keeps the previous key
        // for a while.
        await account.logInAnew(visit)
        isLoggedIn = true
      }
      for (;;) {
        const sent: Sent = { session: await sessionFor(auth, visit), isComplete: false }
        let error: WxgateError
        try {
          const { result, problem } = await transport.send(what, {
            ...sendOptions(sent, account, visit, handle),
            isSealed
          })
          if (!problem) return result
          error = problem
        } catch (caught) {
          error = caught as WxgateError
        }
        if (handle?.isAborted) throw error
        error = (await refusalBehind(error, what, sent)) ?? error
        const { session } = sent
        if (error.code === 'session_key_stale') {
          if (!isLoggedIn) await account.logInAnew(visit)
          // Open data was encrypted with the old key; a request of the channel is sealed again.
          if (!isSealed || isLoggedIn) throw error
          isLoggedIn = true
          continue
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
}

/** State of one try. */
interface Sent {
  session: Session | null
  /** wx reported that the whole body was sent. */
  isComplete: boolean
}

function sendOptions(sent: Sent, account: Account, visit: Visit, handle: Handle | undefined): SendOptions {
  return {
    ...(handle ? { handle } : {}),
    authorize() {
      if (!sent.session) return null
      account.check(visit)
      // The token may have been renewed while the call waited in the queue.
      sent.session = account.current() ?? sent.session
      return sent.session.accessToken
    },
    onProgress({ progress }) {
      if (progress >= 100) sent.isComplete = true
    }
  }
}
