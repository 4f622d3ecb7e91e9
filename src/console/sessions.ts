/** Sessions of the console: sign-in with a service token or a one-time link, the session behind a
 *  cookie, its CSRF token, and its end on every instance. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { isEqualText, mac } from '../crypto/key-ring.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { ApiError } from '../errors.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Caller, Callers } from '../service/callers.ts'
import { type CookieSession, readCookie } from './cookie.ts'
import type { ConsoleLinks } from './links.ts'

export interface ConsoleSession extends CookieSession {
  readonly caller: Caller
  readonly csrf: string
  /** Without a further call, in milliseconds since the epoch. */
  readonly expiresAt: number
  readonly endsAt: number
}

export interface ConsoleSessions {
  /** Throws an ApiError for a token that may not use the console, and for a used or old link. */
  begin(credential: { readonly token: string } | { readonly link: string }): ConsoleSession
  /** Null without a valid session. */
  find(cookie: string | undefined): ConsoleSession | null
  /** The same session with a new idle time. */
  extend(session: ConsoleSession): ConsoleSession
  isLive(session: ConsoleSession): boolean
  hasCsrf(session: ConsoleSession, sent: string | string[] | undefined): boolean
  /** In force on every instance within a second. */
  end(session: ConsoleSession): Promise<void>
}

export interface ConsoleSessionsDeps {
  readonly sealer: Sealer
  /** For CSRF tokens. */
  readonly csrfKey: Buffer
  readonly clock: Pick<Clock, 'now'>
  readonly callers: Callers
  readonly links: Pick<ConsoleLinks, 'use'>
  readonly revocations: Pick<Revocations, 'endSession' | 'hasEnded'>
  /** Milliseconds. The feed of ended sessions keeps an entry longer than this. */
  readonly accessTtl: number
}

const IDLE_MS = 30 * 60_000
const LONGEST_MS = 8 * 3_600_000

/** The caller after a sign-in by link. No token can have this name. */
const BY_LINK: Caller = {
  name: '(one-time link)',
  scopes: new Set(['session', 'admin']),
  apps: null,
  wxapi: null
}

const NO_ADMIN = new ApiError(
  'forbidden',
  'The console needs a service token with the scope "admin" and without "apps".'
)
const OLD_LINK = new ApiError('token_invalid', 'The link was used before, or is older than ten minutes.')

export function createConsoleSessions(deps: ConsoleSessionsDeps): ConsoleSessions {
  const { sealer, csrfKey, clock, callers, links, revocations } = deps
  const idleMs = Math.min(IDLE_MS, deps.accessTtl)

  function complete(session: CookieSession, caller: Caller): ConsoleSession {
    const endsAt = session.startedAt + LONGEST_MS
    const expiresAt = Math.min(endsAt, session.issuedAt + idleMs)
    return { ...session, caller, csrf: mac(csrfKey, session.id), expiresAt, endsAt }
  }

  /** Null for a token that was removed, replaced or narrowed since the sign-in. */
  function callerOf({ token, fingerprint }: CookieSession): Caller | null {
    if (token === null) return BY_LINK
    const found = callers.find(token)
    return found !== null && isEqualText(found.fingerprint, fingerprint) && isAdmin(found.caller) ? found.caller : null
  }

  function credentialOf(credential: Parameters<ConsoleSessions['begin']>[0]) {
    if ('link' in credential) {
      if (!links.use(credential.link)) throw OLD_LINK
      return { caller: BY_LINK, token: null, fingerprint: '' }
    }
    const caller = callers.identify(`Bearer ${credential.token}`, 'bearer')
    if (caller instanceof ApiError) throw caller
    if (!isAdmin(caller)) throw NO_ADMIN
    return { caller, token: caller.name, fingerprint: callers.find(caller.name)?.fingerprint ?? '' }
  }

  /** The feed of ended sessions keeps the ids of both kinds of sessions; these begin with `c_`. */
  const hasEnded = ({ id }: CookieSession) => revocations.hasEnded({ id, appId: '', openId: '', epoch: 0 })
  const isInTime = ({ issuedAt, expiresAt }: ConsoleSession) => {
    const now = clock.now()
    return issuedAt - idleMs <= now && now < expiresAt
  }

  return {
    begin(credential) {
      const { caller, token, fingerprint } = credentialOf(credential)
      const id = `c_${randomBytes(18).toString('base64url')}`
      const now = clock.now()
      return complete({ id, token, fingerprint, startedAt: now, issuedAt: now }, caller)
    },
    find(cookie) {
      const read = readCookie(cookie, sealer)
      const caller = read && callerOf(read)
      if (read === null || caller === null) return null
      const session = complete(read, caller)
      return isInTime(session) && !hasEnded(session) ? session : null
    },
    extend: ({ caller, csrf: _, expiresAt: __, endsAt: ___, ...session }) =>
      complete({ ...session, issuedAt: clock.now() }, caller),
    isLive: (session) => isInTime(session) && !hasEnded(session),
    hasCsrf: ({ csrf }, sent) => typeof sent === 'string' && isEqualText(sent, csrf),
    end: ({ id }) => revocations.endSession(id)
  }
}

function isAdmin({ scopes, apps }: Caller): boolean {
  return scopes.has('admin') && apps === null
}
