/** GET /v1/sessions/{sid}, /v1/users/{appid}/{openid}/sessions and /v1/users/{u_…}/sessions: live
 *  sessions. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { Revocations } from '../identity/revocations.ts'
import { isEnded, type Session, type Sessions } from '../identity/sessions.ts'
import type { User, Users } from '../identity/users.ts'
import { type Static, Type } from '../schema.ts'
import { Count, closed, Text, Time, timeOf } from './status/terms.ts'
import { expectApp, findAccounts, findUser, mayAskAbout, type SubjectDeps } from './subject.ts'
import { UNKNOWN_ID, UNKNOWN_USER, UserIdPath, UserPath } from './users.ts'

export interface SessionDeps {
  readonly sessions: Pick<Sessions, 'find'>
  readonly users: Pick<Users, 'find'>
  readonly revocations: Pick<Revocations, 'hasEnded'>
}

export const SessionPath = Type.Object({
  sid: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'As in the header X-Session-Id.' })
})
export const UNKNOWN_SESSION = new ApiError('not_found', 'There is no such session, or it has ended already.')

export const LiveSession = closed(
  {
    id: Text,
    appid: Text,
    openid: Text,
    user: Type.String({ description: 'As in X-User-Id.' }),
    refreshed_at: Time,
    ends_at: Type.String({ description: 'Latest end, in spite of refreshes. ISO 8601, UTC.' }),
    refreshes: Count
  },
  'A session that has not ended.'
)

export type LiveSessionStatus = Static<typeof LiveSession>

export function addSession(app: FastifyInstance, deps: SessionDeps): void {
  const schema = {
    operationId: 'getSession',
    summary: 'A session by its id',
    description: 'The account behind it and its times. 404 for a session that has ended.',
    tags: ['session'],
    params: SessionPath,
    response: withProblems({ 200: LiveSession }, ['not_found', 'store_unavailable'])
  }
  app.get<{ Params: Static<typeof SessionPath> }>('/sessions/:sid', { schema }, async (request, reply) => {
    const found = await findLive(deps, request.params.sid, ({ appId, openId }) => deps.users.find(appId, openId))
    if (found === null || !mayAskAbout(request, found.appid)) throw UNKNOWN_SESSION
    if (request.audit) Object.assign(request.audit, { app: found.appid, user: found.user })
    reply.header('cache-control', 'no-store')
    return found
  })
}

const LiveSessions = closed(
  { sessions: Type.Array(LiveSession) },
  'The one that was refreshed last comes first; of the latest ten logins of each account.'
)

export function addUserSessions(app: FastifyInstance, deps: SessionDeps & SubjectDeps): void {
  const schema = {
    operationId: 'getUserSessions',
    summary: 'The live sessions of a user',
    description: 'The devices on which the user is logged in.',
    tags: ['session'],
    params: UserPath,
    response: withProblems({ 200: LiveSessions }, ['not_found', 'store_unavailable'])
  }
  app.get<{ Params: Static<typeof UserPath> }>('/users/:appid/:openid/sessions', { schema }, async (request, reply) => {
    const { appid, openid } = request.params
    const user = await findUser(deps, request, expectApp(deps, request, appid), openid)
    if (user === null) throw UNKNOWN_USER
    reply.header('cache-control', 'no-store')
    return { sessions: await liveSessions(deps, [user]) }
  })
}

export function addUserSessionsById(app: FastifyInstance, deps: SessionDeps & SubjectDeps): void {
  const schema = {
    operationId: 'getUserSessionsById',
    summary: 'The live sessions of a user, by user id',
    description: 'Over all accounts with the id in the mini-programs that the token may ask about.',
    tags: ['session'],
    params: UserIdPath,
    response: withProblems({ 200: LiveSessions }, ['not_found', 'store_unavailable'])
  }
  app.get<{ Params: Static<typeof UserIdPath> }>('/users/:id/sessions', { schema }, async (request, reply) => {
    const accounts = await findAccounts(deps, request, request.params.id)
    if (accounts.length === 0) throw UNKNOWN_ID
    reply.header('cache-control', 'no-store')
    return { sessions: await liveSessions(deps, accounts) }
  })
}

async function liveSessions(deps: SessionDeps, accounts: readonly User[]): Promise<Static<typeof LiveSession>[]> {
  const found = await Promise.all(
    accounts.flatMap((user) => user.sessionIds.toReversed().map((id) => findLive(deps, id, async () => user)))
  )
  return found.filter((session) => session !== null).sort((a, b) => b.refreshed_at.localeCompare(a.refreshed_at))
}

/** Null for a session that has ended.
 *  @param userOf The user of the session, whose record keeps the end of all sessions. */
async function findLive(
  { sessions, revocations }: SessionDeps,
  id: string,
  userOf: (session: Session) => Promise<User | null>
): Promise<Static<typeof LiveSession> | null> {
  const found = await sessions.find(id)
  if (found === null || isEnded(found.session)) return null
  const { session } = found
  if (revocations.hasEnded(session)) return null
  const user = await userOf(session)
  if (user === null || user.epoch > session.epoch) return null
  return {
    id,
    appid: session.appId,
    openid: session.openId,
    user: session.userId,
    refreshed_at: timeOf(session.issuedAt),
    ends_at: timeOf(session.endsAt),
    refreshes: session.generation
  }
}
