/** Finds a user by an openid, a user id or a session id. */
import type { Api } from './api.ts'
import type { Account, LiveSession, UserByIdRecord, UserRecord } from './model.ts'

export interface FoundUser {
  readonly user: UserRecord
  readonly accounts: readonly Account[]
  /** Live sessions of the latest logins. */
  readonly sessions: readonly LiveSession[]
  /** Path of the user in the API. */
  readonly path: string
}

const USER_ID = /^u_[\w-]+$/
/** 16 bytes in base64url. An openid has 28 characters. */
const SESSION_ID = /^[\w-]{22}$/

const pathOf = (...parts: readonly string[]) => parts.map(encodeURIComponent).join('/')

export async function findUser(api: Api, text: string, appId: string): Promise<FoundUser> {
  if (USER_ID.test(text)) return findById(api, text, null)
  if (SESSION_ID.test(text)) {
    const session = await api.get<LiveSession>(`v1/sessions/${pathOf(text)}`)
    return findById(api, session.user, session)
  }
  const path = `v1/users/${pathOf(appId, text)}`
  const user = await api.get<UserRecord>(path)
  return { user, accounts: [{ appid: appId, openid: text }], sessions: await sessionsOf(api, path), path }
}

/** @param wanted A session that is shown first. */
async function findById(api: Api, id: string, wanted: LiveSession | null): Promise<FoundUser> {
  const path = `v1/users/${pathOf(id)}`
  const { accounts, ...user } = await api.get<UserByIdRecord>(path)
  const others = (await sessionsOf(api, path)).filter((session) => session.id !== wanted?.id)
  return { user, accounts, sessions: wanted === null ? others : [wanted, ...others], path }
}

async function sessionsOf(api: Api, path: string): Promise<readonly LiveSession[]> {
  return (await api.get<{ sessions: readonly LiveSession[] }>(`${path}/sessions`)).sessions
}

export async function endAllSessions(api: Api, { path }: FoundUser): Promise<void> {
  await api.act('DELETE', `${path}/sessions`)
}

export async function endSession(api: Api, { id }: LiveSession): Promise<void> {
  await api.act('DELETE', `v1/sessions/${pathOf(id)}`)
}
