/** The session of the mini-program's user. Calls that wait for it share one login or refresh. */
import { createAttempt } from './attempt'
import { createError, type WxgateError } from './errors'
import type { Grant, SessionCalls } from './session-calls'
import type { Session, Storage, User } from './storage'

/** Tokens are renewed this long before they expire, or a tenth of their life when that is
 *  shorter. */
const EARLY_MS = 60_000

/** Number of logouts so far. A call that started before a logout must not log the user in again
 *  after it. */
export type Visit = number

export interface SessionEnd {
  /** `logout`, or the gateway's code: session_revoked, refresh_invalid, refresh_reused,
   *  token_invalid, … */
  readonly code: string
  readonly user: User
}

export interface Account {
  readonly visit: Visit
  /** Throws `logged_out` when the user logged out after this visit started. */
  check(visit: Visit): void
  current(): Session | null
  /** Resolves with a session whose token is valid by the phone's clock: the stored, a refreshed
   *  or a new one. */
  ensure(visit: Visit): Promise<Session>
  /** Resolves with another session than the one that the gateway refused. */
  replace(refused: Session, error: WxgateError, visit: Visit): Promise<Session>
  /** Resolves with a new session by wx.login, and so with a new session_key at the gateway. */
  logInAnew(visit: Visit): Promise<Session>
  /** Asks the gateway about a session's token. Resolves with its refusal; null when there is
   *  none. */
  refusalOf(session: Session): Promise<WxgateError | null>
  update(user: User): void
  /** Forgets the session at once and then tells the gateway. Resolves with false when the
   *  gateway could not be reached. */
  logOut(isEverywhere: boolean): Promise<boolean>
  /** Returns the function that removes the listener. */
  onEnd(listener: (end: SessionEnd) => void): () => void
}

export interface AccountOptions {
  readonly storage: Storage
  readonly calls: SessionCalls
  /** Runs a listener later, so that an error in it does not end this call. */
  readonly defer: (callback: () => void) => void
  /** Called with each new access token. */
  readonly onToken: (accessToken: string) => void
}

/** A login or refresh under way. */
interface Flight {
  readonly isLogin: boolean
  readonly result: Promise<Session>
}

export function createAccount({ storage, calls, defer, onToken }: AccountOptions): Account {
  let session = storage.read()
  let flight: Flight | null = null
  let visit: Visit = 0
  let listeners: ((end: SessionEnd) => void)[] = []

  function save(next: Session, from: Visit): Session {
    if (from === visit) {
      const { is_new: _isNew, ...user } = next.user
      if (next.accessToken !== session?.accessToken) onToken(next.accessToken)
      session = { ...next, user: user as User }
      storage.write(session)
    }
    return next
  }

  function end(code: string): void {
    const ended = session
    session = null
    storage.clear()
    if (!ended) return
    for (const listener of listeners) defer(() => listener({ code, user: ended.user }))
  }

  function take(isLogin: boolean, start: () => Promise<Session>): Promise<Session> {
    const own: Flight = { isLogin, result: start() }
    flight = own
    const land = () => {
      if (flight === own) flight = null
    }
    own.result.then(land, land)
    return own.result
  }

  async function logIn(from: Visit): Promise<Session> {
    const grant = await calls.logIn()
    return save(toSession(grant, grant.user), from)
  }

  async function refreshOrLogIn(present: Session, from: Visit): Promise<Session> {
    let grant: Grant
    try {
      grant = await calls.refresh(present)
    } catch (caught) {
      const error = caught as WxgateError
      if (error.action !== 'login' && error.status !== 400) throw error
      if (from !== visit) throw loggedOut()
      end(error.code)
      return logIn(from)
    }
    return save(toSession(grant, present.user), from)
  }

  function renew(): Promise<Session> {
    if (flight) return flight.result
    const present = session
    const from = visit
    return present ? take(false, () => refreshOrLogIn(present, from)) : take(true, () => logIn(from))
  }

  function check(from: Visit): void {
    if (from !== visit) throw loggedOut()
  }

  async function checked(result: Promise<Session>, from: Visit): Promise<Session> {
    try {
      return await result
    } finally {
      check(from)
    }
  }

  return {
    get visit() {
      return visit
    },
    check,
    current: () => session,

    async ensure(from) {
      check(from)
      const present = session
      const now = Date.now()
      if (present && now >= present.receivedAt && now < present.renewAt) return present
      try {
        return await checked(renew(), from)
      } catch (error) {
        // The token could not be renewed early, and is still valid.
        if (present && session === present && now >= present.receivedAt && now < present.expiresAt) return present
        throw error
      }
    },

    async replace(refused, error, from) {
      check(from)
      if (session && session.accessToken !== refused.accessToken) return session
      if (error.action === 'login' && !flight) end(error.code)
      return checked(renew(), from)
    },

    async logInAnew(from) {
      check(from)
      const present = flight
      if (present?.isLogin) return checked(present.result, from)
      // A refresh that ends later would replace the session of this login.
      if (present) await settled(present.result)
      check(from)
      if (flight?.isLogin) return checked(flight.result, from)
      return checked(
        take(true, () => logIn(from)),
        from
      )
    },

    update(user) {
      if (session) save({ ...session, user: { ...session.user, ...user } }, visit)
    },

    refusalOf: (asked) => calls.refusalOf(asked),

    async logOut(isEverywhere) {
      let ended = session
      const pending = flight
      visit++
      flight = null
      end('logout')
      if (pending) ended = (await settled(pending.result)) ?? ended
      return ended ? calls.logOut(ended, isEverywhere) : true
    },

    onEnd(listener) {
      listeners = listeners.concat(listener)
      return () => {
        listeners = listeners.filter((other) => other !== listener)
      }
    }
  }
}

function toSession(grant: Grant, user: User): Session {
  const receivedAt = Date.now()
  const life = grant.expires_in * 1000
  return {
    accessToken: grant.access_token,
    refreshToken: grant.refresh_token,
    attempt: createAttempt(),
    receivedAt,
    renewAt: receivedAt + life - Math.min(EARLY_MS, life / 10),
    expiresAt: receivedAt + life,
    user
  }
}

function loggedOut(): WxgateError {
  return createError({ code: 'logged_out', detail: 'The user was logged out while the call waited.' })
}

function settled<T>(promise: Promise<T>): Promise<T | null> {
  return promise.then(
    (value) => value,
    () => null
  )
}
