/** The user that a backend's call is about. */
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { User, Users } from '../identity/users.ts'
import { Type } from '../schema.ts'
import type { Audit } from './audit.ts'
import type { Caller } from './callers.ts'

/** Finds the subject of a call. */
export interface SubjectDeps {
  readonly users: Pick<Users, 'find' | 'accountsOf' | 'linkedIds'>
  findApp(appId: string): AppConfig | undefined
}

/** A request with its caller. */
export interface CallersRequest {
  readonly caller: Caller | null
  readonly audit: Audit | null
}

export const AppId = Type.String({ maxLength: 64, description: 'AppID of a mini-program configured here.' })
export const OpenId = Type.String({ pattern: '^[A-Za-z0-9_-]{6,128}$', description: 'As in the header X-OpenId.' })

export const UserId = Type.String({
  pattern: '^u_[A-Za-z0-9_-]{1,64}$',
  description: 'As in X-User-Id and in the log.'
})

const UNKNOWN_APP = new ApiError('invalid_request', 'The appid is not one of the mini-programs configured here.')

const OTHER_APP = new ApiError('forbidden', 'The service token does not cover this mini-program.')

/** Throws 400 for an appid that is not configured, 403 for one that the caller's token does not
 *  cover. */
export function expectApp(
  { findApp }: Pick<SubjectDeps, 'findApp'>,
  request: CallersRequest,
  appId: string
): AppConfig {
  const app = findApp(appId)
  if (!app) throw UNKNOWN_APP
  if (!mayAskAbout(request, app.appId)) throw OTHER_APP
  if (request.audit) request.audit.app = app.appId
  return app
}

/** True when `apps` of the caller's token names the app or is absent. */
export function mayAskAbout({ caller }: CallersRequest, appId: string): boolean {
  return caller !== null && (caller.apps === null || caller.apps.has(appId))
}

/** Notes the user for the log. Null for an openid that never logged in. */
export async function findUser(
  { users }: Pick<SubjectDeps, 'users'>,
  request: CallersRequest,
  app: AppConfig,
  openId: string
): Promise<User | null> {
  const user = await users.find(app.appId, openId)
  if (request.audit) request.audit.user = user?.id ?? null
  return user
}

/** The accounts with the user id in mini-programs that are configured and that the caller may
 *  ask about. Notes the user for the log. Empty for an unknown id. */
export async function findAccounts(
  { users, findApp }: Pick<SubjectDeps, 'users' | 'findApp'>,
  request: CallersRequest,
  userId: string
): Promise<readonly User[]> {
  const accounts = (await users.accountsOf(userId)).filter(({ appId }) => findApp(appId) && mayAskAbout(request, appId))
  const found = await Promise.all(accounts.map(({ appId, openId }) => users.find(appId, openId)))
  const known = found.filter((user) => user?.id === userId)
  if (request.audit && known.length > 0) request.audit.user = userId
  return known.filter((user) => user !== null)
}
