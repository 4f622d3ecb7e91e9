/** The session of the console: a cookie that scripts cannot read, and the CSRF token for actions. */
import { type Api, ask } from './api.ts'

export interface Session {
  /** Name of the service token. */
  readonly name: string
  readonly csrf_token: string
}

const SESSION = 'session'

/** The session of the cookie, or null. */
export function currentSession(): Promise<Session | null> {
  return ask<Session>(SESSION, {}).catch(() => null)
}

export function signIn(token: string): Promise<Session> {
  return ask<Session>(SESSION, post({ token }))
}

/** Null when the link was used before or is too old. */
export function signInByLink(link: string): Promise<Session | null> {
  return ask<Session>(SESSION, post({ link })).catch(() => null)
}

export async function signOut(api: Api): Promise<void> {
  await api.act('DELETE', SESSION).catch(() => null)
}

/** Takes the one-time link out of the address, so that it is neither in the history nor in a
 *  bookmark. */
export function takeLink(): string | null {
  const link = /^#link=([\w.-]+)$/.exec(location.hash)?.[1] ?? null
  if (link !== null) history.replaceState(null, '', location.pathname)
  return link
}

const post = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body)
})
