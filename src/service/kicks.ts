/** DELETE /v1/users/{appid}/{openid}/sessions and /v1/sessions/{sid}: end sessions, on every
 *  instance within a second. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Sessions } from '../identity/sessions.ts'
import { expectApp, findUser, mayAskAbout, type SubjectDeps } from './subject.ts'
import { UNKNOWN_USER, UserPath } from './users.ts'

export interface KickDeps extends SubjectDeps {
  readonly sessions: Pick<Sessions, 'find'>
  readonly sessionEnding: SessionEnding
}

const SessionPath = Type.Object({
  sid: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'As in the header X-Session-Id.' })
})
const NoContent = Type.Null({ description: 'Ended.' })
const UNKNOWN_SESSION = new ApiError('not_found', 'There is no such session, or it has ended already.')
const RESPONSE = withProblems({ 204: NoContent }, ['not_found', 'store_unavailable'])

export function addKickUser(app: FastifyInstance, deps: KickDeps): void {
  const schema = {
    operationId: 'endUserSessions',
    summary: 'End every session of a user',
    description: 'In force on every instance within a second. The user may log in again.',
    tags: ['admin'],
    params: UserPath,
    response: RESPONSE
  }
  app.delete<{ Params: Static<typeof UserPath> }>(
    '/users/:appid/:openid/sessions',
    { schema },
    async (request, reply) => {
      const { appid, openid } = request.params
      const wxApp = expectApp(deps, request, appid)
      await findUser(deps, request, wxApp, openid)
      if (!(await deps.sessionEnding.endAllSessions(wxApp.appId, openid))) throw UNKNOWN_USER
      return reply.code(204).send()
    }
  )
}

export function addKickSession(app: FastifyInstance, deps: KickDeps): void {
  const schema = {
    operationId: 'endSession',
    summary: 'End one session',
    description: 'In force on every instance within a second.',
    tags: ['admin'],
    params: SessionPath,
    response: RESPONSE
  }
  app.delete<{ Params: Static<typeof SessionPath> }>('/sessions/:sid', { schema }, async (request, reply) => {
    const found = await deps.sessions.find(request.params.sid)
    if (!found || !mayAskAbout(request, found.session.appId)) throw UNKNOWN_SESSION
    const { session } = found
    if (request.audit) Object.assign(request.audit, { app: session.appId, user: session.userId })
    await deps.sessionEnding.endSession(session, 'kick')
    return reply.code(204).send()
  })
}
