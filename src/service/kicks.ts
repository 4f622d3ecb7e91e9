/** DELETE /v1/users/{appid}/{openid}/sessions, /v1/users/{u_…}/sessions and /v1/sessions/{sid}:
 *  end sessions, on every instance within a second. */
import type { FastifyInstance } from 'fastify'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Sessions } from '../identity/sessions.ts'
import { type Static, Type } from '../schema.ts'
import { SessionPath, UNKNOWN_SESSION } from './session.ts'
import { expectApp, findAccounts, findUser, mayAskAbout, type SubjectDeps } from './subject.ts'
import { UNKNOWN_ID, UNKNOWN_USER, UserIdPath, UserPath } from './users.ts'

export interface KickDeps extends SubjectDeps {
  readonly sessions: Pick<Sessions, 'find'>
  readonly sessionEnding: SessionEnding
}

const NoContent = Type.Null({ description: 'Ended.' })
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

export function addKickUserById(app: FastifyInstance, deps: KickDeps): void {
  const schema = {
    operationId: 'endUserSessionsById',
    summary: 'End every session of a user, by user id',
    description: 'Ends the sessions of all accounts with the id in the mini-programs that the token may ask about.',
    tags: ['admin'],
    params: UserIdPath,
    response: RESPONSE
  }
  app.delete<{ Params: Static<typeof UserIdPath> }>('/users/:id/sessions', { schema }, async (request, reply) => {
    const accounts = await findAccounts(deps, request, request.params.id)
    if (accounts.length === 0) throw UNKNOWN_ID
    await Promise.all(accounts.map(({ appId, openId }) => deps.sessionEnding.endAllSessions(appId, openId)))
    return reply.code(204).send()
  })
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
