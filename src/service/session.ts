/** GET /v1/sessions/{sid}: one session by its id. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { Revocations } from '../identity/revocations.ts'
import { isEnded, type Sessions } from '../identity/sessions.ts'
import type { Users } from '../identity/users.ts'
import { type Static, Type } from '../schema.ts'
import { Count, closed, Text, Time, timeOf } from './status/terms.ts'
import { mayAskAbout } from './subject.ts'

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
    const found = await findLive(deps, request, request.params.sid)
    if (found === null) throw UNKNOWN_SESSION
    if (request.audit) Object.assign(request.audit, { app: found.appid, user: found.user })
    reply.header('cache-control', 'no-store')
    return found
  })
}

/** Null for a session that has ended, or of a mini-program that the caller may not ask about. */
async function findLive(
  { sessions, users, revocations }: SessionDeps,
  request: FastifyRequest,
  id: string
): Promise<Static<typeof LiveSession> | null> {
  const found = await sessions.find(id)
  if (found === null || isEnded(found.session)) return null
  const { session } = found
  if (!mayAskAbout(request, session.appId) || revocations.hasEnded(session)) return null
  const user = await users.find(session.appId, session.openId)
  // The end of all sessions of a user is kept in the record of the user.
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
