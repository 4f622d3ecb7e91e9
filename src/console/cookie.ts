/** The cookie of the console. It holds the session itself, sealed under the secrets of the gateway,
 *  so that every process and a restarted one accepts it. */
import type { Sealer } from '../crypto/sealer.ts'

export const COOKIE = 'wxgate_console'
/** Browsers do not keep cookies of two ports apart: a server on another port of the same host gets
 *  this one for its own /console only. */
const PATH = '/console'
const CONTEXT = 'console-session'

/** Times are milliseconds since the epoch. */
export interface CookieSession {
  readonly id: string
  /** Name of the service token; null after a sign-in by a one-time link. */
  readonly token: string | null
  /** Fingerprint of the service token at the sign-in. */
  readonly fingerprint: string
  readonly startedAt: number
  /** Of the newest cookie. */
  readonly issuedAt: number
}

/** The session in a Cookie header, whatever its times. Null without one, for two, and for one that
 *  this gateway did not seal. */
export function readCookie(header: string | undefined, sealer: Pick<Sealer, 'open'>): CookieSession | null {
  const values = (header ?? '').split(/; */).filter((pair) => pair.startsWith(`${COOKIE}=`))
  const [pair] = values
  if (pair === undefined || values.length > 1) return null
  const opened = sealer.open(pair.slice(COOKIE.length + 1), CONTEXT)
  return opened === null ? null : (JSON.parse(opened.text) as CookieSession)
}

/** Value of Set-Cookie. Without a lifetime: it ends with the browser, and the session in it
 *  earlier. */
export function cookieOf(session: CookieSession, sealer: Pick<Sealer, 'seal'>, isHttps: boolean): string {
  return `${COOKIE}=${sealer.seal(JSON.stringify(session), CONTEXT)}; ${attributes(isHttps)}`
}

export function clearingCookie(isHttps: boolean): string {
  return `${COOKIE}=; Max-Age=0; ${attributes(isHttps)}`
}

function attributes(isHttps: boolean): string {
  return `Path=${PATH}; HttpOnly; SameSite=Strict${isHttps ? '; Secure' : ''}`
}
