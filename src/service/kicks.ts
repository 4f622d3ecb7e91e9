/** DELETE /v1/users/{appid}/{openid}/sessions and /v1/sessions/{sid}: ending sessions, everywhere within a second. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { endAllSessions } from '../identity/end-session.ts'
import { expectApp, findUser } from './subject.ts'
import { UNKNOWN_USER, UserPath } from './users.ts'

const SessionPath = Type.Object({
  sid: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$', description: 'As in the header X-Session-Id.' })
})
const NoContent = Type.Null({ description: 'Ended.' })
const UNKNOWN_SESSION = new ApiError('not_found', 'There is no such session, or it has ended already.')
const RESPONSE = withProblems({ 204: NoContent }, ['not_found', 'store_unavailable'])

export function addKickUser(app: FastifyInstance, parts: Parts): void {
  const schema = { summary: 'End every session of a user', tags: ['admin'], params: UserPath, response: RESPONSE }
  app.delete<{ Params: Static<typeof UserPath> }>(
    '/users/:appid/:openid/sessions',
    { schema },
    async (request, reply) => {
      const { appid, openid } = request.params
      const wxApp = expectApp(parts, request, appid)
      await findUser(parts, request, wxApp, openid)
      if (!(await endAllSessions(parts, wxApp.appId, openid))) throw UNKNOWN_USER
      return reply.code(204).send()
    }
  )
}

export function addKickSession(app: FastifyInstance, parts: Parts): void {
  const schema = { summary: 'End one session', tags: ['admin'], params: SessionPath, response: RESPONSE }
  app.delete<{ Params: Static<typeof SessionPath> }>('/sessions/:sid', { schema }, async (request, reply) => {
    const session = await parts.sessions.find(request.params.sid)
    if (!session) throw UNKNOWN_SESSION
    if (request.audit) Object.assign(request.audit, { app: session.appId, user: session.userId })
    // The feed first: if the record is still there after a failure, the call can be made again.
    await parts.revocations.endSession(session.id)
    await parts.sessions.end(session.id)
    return reply.code(204).send()
  })
}
