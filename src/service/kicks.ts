/** DELETE /v1/users/{appid}/{openid}/sessions and /v1/sessions/{sid}: ending sessions, everywhere within a second. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
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
      if (!(await parts.sessionEnding.endAllSessions(wxApp.appId, openid))) throw UNKNOWN_USER
      return reply.code(204).send()
    }
  )
}

export function addKickSession(app: FastifyInstance, parts: Parts): void {
  const schema = { summary: 'End one session', tags: ['admin'], params: SessionPath, response: RESPONSE }
  app.delete<{ Params: Static<typeof SessionPath> }>('/sessions/:sid', { schema }, async (request, reply) => {
    const found = await parts.sessions.find(request.params.sid)
    if (!found) throw UNKNOWN_SESSION
    const { session } = found
    if (request.audit) Object.assign(request.audit, { app: session.appId, user: session.userId })
    await parts.sessionEnding.endSession(session, 'kick')
    return reply.code(204).send()
  })
}
