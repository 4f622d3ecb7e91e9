/** API tokens: the `access_token` of each mini-program, one per app for all instances, renewed
 *  before it expires. */
import { randomInt, randomUUID } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { ApiError } from '../../errors.ts'
import type { Store } from '../../store/port.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ApiTokenState, PlatformApp } from '../port.ts'
import { isTokenRejected, readErrcode, refusal } from './errcodes.ts'
import { createSharedToken, type SharedToken, type StoredToken, type TokenSealer } from './shared-token.ts'
import { type Transport, unavailable } from './transport.ts'

/** A token with less time left is not handed out. All times here are milliseconds. */
const MIN_LEFT = 60_000
/** WeChat issues a new token only within the last five minutes of the old one; both then work
 *  for five minutes. */
const OVERLAP = 300_000
const JITTER = 60_000
/** Pause between calls after a refusal that will not end by itself. */
const REFUSAL_PAUSE = 5_000
const BACKGROUND_PAUSE = 5_000
const POLL = 50

export interface ApiTokens {
  /** Returns a token with at least a minute left. Past the early renewal time it returns the
   *  old one and fetches a new one in the background. Throws an ApiError. */
  get(app: PlatformApp, deadline?: number): Promise<string>
  /** Drops the token here and in the store, except when a newer one has replaced it. */
  invalidate(app: PlatformApp, failedToken: string): Promise<void>
  /** Runs `call` with a token. When WeChat rejects the token (40001, 40014, 42001), drops it
   *  and runs `call` once more with another; that answer is final. `deadline` is on the clock of
   *  `performance.now()`. */
  withAccessToken<T>(
    app: PlatformApp,
    call: (token: string, deadline: number) => Promise<T>,
    options?: { isRejected?: (answer: T) => boolean; deadline?: number }
  ): Promise<T>
  state(appId: string): ApiTokenState
}

export interface ApiTokensOptions {
  readonly transport: Transport
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds for one call to WeChat. */
  readonly timeout: number
  /** Without it the token stays in this process: the store never holds it in clear. */
  readonly sealToken?: TokenSealer
}

interface Held extends StoredToken {
  renewAt: number
}

interface AppState {
  held: Held | null
  /** A token that WeChat refused; it is not taken from the store again. */
  rejected: string | null
  flight: Promise<string> | null
  refusal: { error: ApiError; secret: string; until: number } | null
}

export function createApiTokens(options: ApiTokensOptions): ApiTokens {
  const { transport, clock, log, timeout } = options
  const shared = createSharedToken({ ...options, base: transport.base })
  const states = new Map<string, AppState>()

  function stateOf(app: PlatformApp): AppState {
    let state = states.get(app.appId)
    if (!state) {
      state = { held: null, rejected: null, flight: null, refusal: null }
      states.set(app.appId, state)
    }
    return state
  }

  const isUsable = (token: StoredToken) => token.expiresAt - clock.now() > MIN_LEFT

  /** Null when the token has to be fetched first. */
  function heldToken(app: PlatformApp): string | null {
    const state = stateOf(app)
    const { held } = state
    if (!held || !isUsable(held)) return null
    if (clock.now() >= held.renewAt) {
      // The time of the next attempt if this one fails.
      held.renewAt = clock.now() + BACKGROUND_PAUSE
      renew(app, state).catch(() => log.warn({ appid: app.appId }, 'The access token could not be renewed early'))
    }
    return held.token
  }

  async function get(app: PlatformApp, deadline = transport.deadline()): Promise<string> {
    return heldToken(app) ?? within(renew(app, stateOf(app)), deadline)
  }

  /** One flight per app in this process. */
  function renew(app: PlatformApp, state: AppState): Promise<string> {
    state.flight ??= fly(app, state).finally(() => {
      state.flight = null
    })
    return state.flight
  }

  /** One fetch for all instances: the holder of the lock asks WeChat, the others wait for the
   *  token to appear. A dead holder costs the life of the lock. A second fetch is harmless (WeChat
   *  gives the same token), so neither a failing store nor a stuck lock is an error. */
  async function fly(app: PlatformApp, state: AppState): Promise<string> {
    const { refusal: last } = state
    if (last && last.secret === app.secret && clock.now() < last.until) throw last.error
    const deadline = transport.deadline()
    const lockTtl = Math.max(1, Math.floor(timeout / 2))
    const owner = randomUUID()
    const store = shared.open(app.appId)
    const giveUpWaiting = performance.now() + lockTtl + 2 * POLL
    for (;;) {
      const found = adopt(state, await store.read())
      if (found !== null) return found
      if (await store.lock(owner, lockTtl)) break
      if (performance.now() >= giveUpWaiting) break
      await new Promise((resolve) => setTimeout(resolve, POLL))
    }
    try {
      // The last holder may have finished between the read and the lock.
      const found = adopt(state, await store.read())
      if (found !== null) return found
      const fetched = await fetchToken(app, state, deadline)
      await keep(state, fetched, store)
      return fetched.token
    } finally {
      await store.unlock(owner)
    }
  }

  /** Takes over a token that another instance stored, if it is better than the one held here. */
  function adopt(state: AppState, stored: StoredToken | null): string | null {
    if (!stored || stored.token === state.rejected || !isUsable(stored)) return null
    if (state.held && stored.fetchedAt <= state.held.fetchedAt) return null
    state.held = { ...stored, renewAt: renewalTime(stored) }
    return stored.token
  }

  async function keep(state: AppState, fetched: StoredToken, store: SharedToken): Promise<void> {
    state.rejected = null
    if (!isUsable(fetched)) return
    state.held = { ...fetched, renewAt: renewalTime(fetched) }
    await store.write(fetched, fetched.expiresAt - clock.now())
  }

  async function fetchToken(app: PlatformApp, state: AppState, deadline: number): Promise<StoredToken> {
    const answer = await transport.call(
      {
        method: 'POST',
        path: '/cgi-bin/stable_token',
        query: {},
        body: { grant_type: 'client_credential', appid: app.appId, secret: app.secret, force_refresh: false }
      },
      deadline
    )
    if (readErrcode(answer) !== 0) {
      const error = refusal(log, 'token', app.appId, answer)
      const isLasting = error.code !== 'wechat_unavailable'
      state.refusal = isLasting ? { error, secret: app.secret, until: clock.now() + REFUSAL_PAUSE } : null
      throw error
    }
    state.refusal = null
    const { access_token: token, expires_in: life } = answer
    // It goes into a query string, and proxies mask it in their logs by its shape: printable ASCII
    // only.
    if (typeof token !== 'string' || !/^[\x21-\x7e]{1,2048}$/.test(token)) throw unavailable()
    if (typeof life !== 'number' || !(life > 0 && life <= 86_400)) throw unavailable()
    const fetchedAt = clock.now()
    return { token, fetchedAt, expiresAt: fetchedAt + life * 1000 }
  }

  async function invalidate(app: PlatformApp, failedToken: string): Promise<void> {
    const state = stateOf(app)
    if (state.held?.token === failedToken) state.held = null
    state.rejected = failedToken
    await shared.open(app.appId).clear(failedToken)
  }

  return {
    get,
    invalidate,
    state(appId) {
      const { held = null, refusal: refused = null } = states.get(appId) ?? {}
      if (held === null || held.expiresAt <= clock.now())
        return { state: refused === null ? 'none' : 'refused', fetchedAt: null, expiresAt: null }
      return { state: 'held', fetchedAt: held.fetchedAt, expiresAt: held.expiresAt }
    },

    async withAccessToken(app, call, { isRejected = isTokenRejected, deadline = transport.deadline() } = {}) {
      const token = heldToken(app) ?? (await get(app, deadline))
      const answer = await call(token, deadline)
      if (!isRejected(answer)) return answer
      log.info({ appid: app.appId }, 'WeChat rejected the access token; fetching another one')
      await invalidate(app, token)
      return call(await get(app, deadline), deadline)
    }
  }
}

/** Renews early, at a different moment on every instance, and before the last five minutes. A
 *  token just short of them is one that WeChat has declined to replace: renew within them, when
 *  WeChat does. */
function renewalTime(token: StoredToken): number {
  const life = token.expiresAt - token.fetchedAt
  if (life < OVERLAP) return token.fetchedAt + life / 2
  const insideOverlap = token.expiresAt - OVERLAP
  return life > OVERLAP + 2 * JITTER ? insideOverlap - randomInt(JITTER) : insideOverlap + 1000 + randomInt(JITTER / 2)
}

/** The flight goes on for other callers; this one stops waiting at its deadline. */
function within<T>(flight: Promise<T>, deadline: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(unavailable()), Math.max(0, deadline - performance.now()))
    flight.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
