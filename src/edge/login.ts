/** POST /auth/login: exchanges a code of the mini-program for a session. */
import type { FastifyInstance } from 'fastify'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { networkKey } from '../http/network.ts'
import { recordOf } from '../http/request.ts'
import type { Login } from '../login/login.ts'
import { type Static, Type } from '../schema.ts'
import { BODY_CODES } from './authenticated.ts'
import { grantProperties, Status } from './grant.ts'

export interface LoginDeps {
  readonly login: Login
}

const Body = Type.Object({
  code: Type.String({ minLength: 1, maxLength: 512, description: 'Of wx.login.' }),
  appid: Type.Optional(Type.String({ maxLength: 64, description: 'Optional when one mini-program is configured.' })),
  attempt: Type.Optional(
    Type.String({
      minLength: 16,
      maxLength: 64,
      description: 'Random text that allows only its sender to repeat the call.'
    })
  )
})

const Answer = Type.Object(
  {
    ...grantProperties,
    user: Type.Object(
      { id: Type.String(), is_new: Type.Boolean({ description: 'The first login of this user.' }), status: Status },
      { description: 'The user, with the members of `profile` that the login hook returned.' }
    )
  },
  { additionalProperties: false, description: 'The tokens of a new session.' }
)

export function addLogin(app: FastifyInstance, { login }: LoginDeps): void {
  const schema = {
    operationId: 'login',
    summary: 'Exchange a code of wx.login for a session',
    description: 'The same code at the same time, or again within `tokens.repeatWindow`, gets the same answer.',
    tags: ['session'],
    security: PUBLIC,
    body: Body,
    response: withProblems({ 200: Answer }, [
      'code_invalid',
      'code_used',
      'login_blocked',
      'rate_limited',
      'wechat_misconfigured',
      'wechat_unavailable',
      'upstream_unavailable',
      'store_unavailable',
      ...BODY_CODES
    ])
  }
  app.post<{ Body: Static<typeof Body> }>('/auth/login', { schema }, async (request, reply) => {
    const { code, appid, attempt = null } = request.body
    const { clientAddress, requestId, traceparent } = recordOf(request.raw)
    reply.header('cache-control', 'no-store')
    return login.logIn({ code, appId: appid, attempt, clientKey: networkKey(clientAddress), requestId, traceparent })
  })
}
