/** GET /auth/session and POST /auth/logout: state and end of the caller's session. */
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../clock.ts'
import type { AppConfig } from '../config/config.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import { type Static, Type } from '../schema.ts'
import { principalOf } from './authenticated.ts'
import { Status } from './grant.ts'

export interface SessionDeps {
  readonly clock: Clock
  readonly sessionKeys: Pick<SessionKeys, 'current'>
  readonly revocations: Pick<Revocations, 'statusOf'>
  readonly platforms: Pick<Platforms, 'of'>
  readonly loginLimiter: RateLimiter
  findApp(appId: string): AppConfig | undefined
}

const Query = Type.Object({
  check: Type.Optional(Type.String({ description: '`true` also asks WeChat whether session_key is still valid.' }))
})

const Answer = Type.Object(
  {
    user: Type.Object({ id: Type.String(), status: Status }, { additionalProperties: false }),
    appid: Type.String(),
    expires_in: Type.Integer({ minimum: 0, description: 'Remaining life of the access token in seconds.' }),
    session_key: Type.Object(
      {
        stored: Type.Boolean(),
        valid: Type.Optional(Type.Boolean({ description: "WeChat's answer; only with `check=true`." }))
      },
      { additionalProperties: false }
    )
  },
  { additionalProperties: false, description: 'The session of the access token.' }
)

export function addSession(app: FastifyInstance, deps: SessionDeps): void {
  const { clock, sessionKeys, revocations, platforms, findApp, loginLimiter } = deps
  const schema = {
    operationId: 'getSession',
    summary: 'The state of the session',
    description: 'With `check=true` the call is limited like a login.',
    tags: ['session'],
    querystring: Query,
    response: withProblems({ 200: Answer }, ['rate_limited', 'wechat_misconfigured', 'wechat_unavailable'])
  }
  app.get<{ Querystring: Static<typeof Query> }>('/auth/session', { schema }, async (request) => {
    const principal = principalOf(request)
    const key = await sessionKeys.current(principal.appId, principal.openId)
    const isAsked = request.query.check === 'true'
    // One user must not use up the calls that WeChat allows the whole mini-program.
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

export interface LogoutDeps {
  readonly sessionEnding: SessionEnding
}

const LogoutBody = Type.Union([
  Type.Null(),
  Type.Object({ all: Type.Optional(Type.Boolean({ description: 'Ends every session of the user.' })) })
])

export function addLogout(app: FastifyInstance, { sessionEnding }: LogoutDeps): void {
  const schema = {
    operationId: 'logout',
    summary: 'End the session',
    description: 'In force on every instance within a second.',
    tags: ['session'],
    body: LogoutBody,
    response: withProblems({ 204: Type.Null({ description: 'Ended.' }) }, [])
  }
  app.post<{ Body: Static<typeof LogoutBody> }>('/auth/logout', { schema }, async (request, reply) => {
    const { sessionId: id, appId, openId, userId } = principalOf(request)
    if (request.body?.all === true) await sessionEnding.endAllSessions(appId, openId)
    else await sessionEnding.endSession({ id, appId, userId }, 'logout')
    return reply.code(204).send()
  })
}
