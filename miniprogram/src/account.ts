/** Who is logged in: one session, renewed once however many calls wait for it. */
import { createError, type WxgateError } from './errors'
import type { Grant, SessionCalls } from './session-calls'
import type { Session, Storage, User } from './storage'

/** Tokens are renewed this long before they end (milliseconds), or a tenth of their life where that is less. */
const EARLY = 60_000

/** Counts logouts: a call that began before one must not log the user in again after it. */
export type Visit = number

export interface SessionEnd {
  /** `logout`, or the gateway's code: session_revoked, refresh_invalid, refresh_reused, token_invalid, … */
  readonly code: string
  readonly user: User
}

export interface Account {
  readonly visit: Visit
  current(): Session | null
  /** A session whose token is good as far as the phone can tell: the stored one, a refreshed one, or a new one. */
  ensure(visit: Visit): Promise<Session>
  /** A session other than the one whose token the gateway has just refused. */
  replace(refused: Session, error: WxgateError, visit: Visit): Promise<Session>
  /** A new session by wx.login, and with it a new session_key, however good the present one is. */
  logInAnew(visit: Visit): Promise<Session>
  update(user: User): void
  /** Forgets the session at once and then tells the gateway. False when it could not be told. */
  logOut(all: boolean): Promise<boolean>
  /** Gives the function that takes the listener away. */
  onEnd(listener: (end: SessionEnd) => void): () => void
}

export interface AccountOptions {
  readonly storage: Storage
  readonly calls: SessionCalls
  /** Runs a listener so that what it throws is its own affair. */
  readonly defer: (callback: () => void) => void
}

interface Flight {
  readonly isLogin: boolean
  readonly result: Promise<Session>
}

export function createAccount({ storage, calls, defer }: AccountOptions): Account {
  let session = storage.read()
  let flight: Flight | null = null
  let visit: Visit = 0
  let listeners: ((end: SessionEnd) => void)[] = []

  function save(next: Session, from: Visit): Session {
    if (from === visit) {
      // Being new is news once.
      const { is_new: _isNew, ...user } = next.user
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
    return save(toSession(grant, grant.user ?? { id: '', status: 'anonymous' }), from)
  }

  async function refreshOrLogIn(present: Session, from: Visit): Promise<Session> {
    let grant: Grant
    try {
      grant = await calls.refresh(present.refreshToken)
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
    current: () => session,

    async ensure(from) {
      check(from)
      const present = session
      const now = Date.now()
      if (present && now >= present.receivedAt && now < present.renewAt) return present
      try {
        return await checked(renew(), from)
      } catch (error) {
        // Too early to matter: the token has a while to go.
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
      // A refresh under way would store its outcome over the login's.
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

    async logOut(all) {
      let ended = session
      const pending = flight
      visit++
      flight = null
      end('logout')
      if (pending) ended = (await settled(pending.result)) ?? ended
      return ended ? calls.logOut(ended.accessToken, ended.refreshToken, all) : true
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
    receivedAt,
    renewAt: receivedAt + life - Math.min(EARLY, life / 10),
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
