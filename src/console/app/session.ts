/** The session of the console: a cookie that scripts cannot read, and the CSRF token for
 *  actions. */
import { type Api, ask } from './api.ts'
import { readStored, store } from './storage.ts'

export interface Session {
  /** Name of the service token. */
  readonly name: string
  readonly csrf: string
}

const SESSION = 'session'

/** Present after a sign-in. Scripts cannot see the cookie, and a call without a session would be an
 *  error in the browser's console. */
const MARK = 'wxgate.session'

/** The session of the cookie, or null. */
export async function currentSession(): Promise<Session | null> {
  if (readStored(MARK) === null) return null
  return ask<Session>(SESSION, {}).catch(() => {
    forgetSession()
    return null
  })
}

/** The CSRF token of the cookie. Empty without a session. */
export async function currentCsrf(): Promise<string> {
  return (await currentSession())?.csrf ?? ''
}

export function forgetSession(): void {
  store(MARK, null)
}

export async function signIn(credential: { readonly token: string } | { readonly link: string }): Promise<Session> {
  const session = await ask<Session>(SESSION, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(credential)
  })
  store(MARK, '1')
  return session
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
