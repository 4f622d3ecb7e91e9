/** GET /auth/session and POST /auth/logout: what a client can ask of its session, and how it ends it. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'
import { principalOf } from './authenticated.ts'

export function addSession(app: FastifyInstance, parts: Parts): void {
  const { clock, sessionKeys, revocations, platforms, findApp, loginLimiter } = parts

  app.get<{ Querystring: { check?: string } }>('/auth/session', async (request) => {
    const principal = principalOf(request)
    const key = await sessionKeys.current(principal.appId, principal.openId)
    const isAsked = request.query.check === 'true'
    // One user must not use up what WeChat allows the whole mini-program.
    if (isAsked) await loginLimiter.hit(`check:${principal.appId}:${principal.openId}`)
    const wxApp = findApp(principal.appId)
    const platformKeys = wxApp && platforms.of(wxApp.appId).sessionKeys
    const valid = isAsked && key !== null && wxApp ? await platformKeys?.check(wxApp, principal.openId, key) : undefined
    return {
      user: { id: principal.userId, status: revocations.statusOf(principal) },
      appid: principal.appId,
      expires_in: Math.max(0, Math.floor((principal.expiresAt - clock.now()) / 1000)),
      session_key: { stored: key !== null, ...(isAsked ? { valid: valid ?? false } : {}) }
    }
  })
}

const LogoutBody = Type.Union([Type.Null(), Type.Object({ all: Type.Optional(Type.Boolean()) })])

export function addLogout(app: FastifyInstance, { sessionEnding }: Pick<Parts, 'sessionEnding'>): void {
  app.post<{ Body: { all?: boolean } | null }>(
    '/auth/logout',
    { schema: { body: LogoutBody } },
    async (request, reply) => {
      const { sessionId: id, appId, openId, userId } = principalOf(request)
      if (request.body?.all === true) await sessionEnding.endAllSessions(appId, openId)
      else await sessionEnding.endSession({ id, appId, userId }, 'logout')
      return reply.code(204).send()
    }
  )
}
