/** POST /auth/refresh: the next pair of tokens for the last refresh token. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { recordOf } from '../http/request.ts'

const Body = Type.Object({ refresh_token: Type.String({ minLength: 1, maxLength: 1024 }) })

const INVALID = new ApiError('refresh_invalid', 'The refresh token is not valid any more. Log in again.')
const REUSED = new ApiError(
  'refresh_reused',
  'The refresh token was used before. To be safe the session was ended; log in again.'
)

export function addRefresh(app: FastifyInstance, parts: Parts): void {
  const { refreshTokens, sessions, users, revocations, grants, metrics, log } = parts

  app.post<{ Body: { refresh_token: string } }>('/auth/refresh', { schema: { body: Body } }, async (request, reply) => {
    const claims = refreshTokens.verify(request.body.refresh_token)
    if (!claims) throw INVALID
    const rotation = await sessions.rotate(claims.sessionId, claims.generation)
    metrics.refreshDone(rotation.outcome)
    if (rotation.outcome === 'unknown') throw INVALID
    const { session } = rotation
    if (rotation.outcome === 'reused') {
      metrics.securityEvent('refresh_reused')
      const client = recordOf(request.raw).clientAddress
      log.warn(
        { event: 'refresh_reused', session: session.id, user: session.userId, app: session.appId, client },
        'a refresh token was used twice; its session is ended'
      )
      // The record goes last: should either step fail, the next use of an old token comes here again.
      await revocations.endSession(session.id)
      await sessions.end(session.id)
      throw REUSED
    }
    const user = await users.find(session.appId, session.openId)
    if (!user || session.epoch < user.epoch) throw INVALID
    reply.header('cache-control', 'no-store')
    return grants.issue(session, user.status)
  })
}
