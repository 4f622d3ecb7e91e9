/** POST /auth/login: a code of the mini-program becomes a session. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { networkKey } from '../http/network.ts'
import { recordOf } from '../http/request.ts'
import type { Login } from '../login/login.ts'
import { BODY_CODES } from './authenticated.ts'
import { grantProperties, Status } from './grant.ts'

export interface LoginDeps {
  readonly login: Login
}

/** WeChat publishes no grammar for codes; these are the characters of a URL query that need no encoding. */
const Body = Type.Object({
  code: Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,512}$', description: 'Of wx.login.' }),
  appid: Type.Optional(Type.String({ maxLength: 64, description: 'Not needed where one mini-program is configured.' }))
})

const Answer = Type.Object(
  {
    ...grantProperties,
    user: Type.Object(
      { id: Type.String(), is_new: Type.Boolean({ description: 'The first login of this user.' }), status: Status },
      { description: 'The user, with the members of `profile` that the login hook gave.' }
    )
  },
  { additionalProperties: false, description: 'The tokens of a new session.' }
)

export function addLogin(app: FastifyInstance, { login }: LoginDeps): void {
  const schema = {
    operationId: 'login',
    summary: 'Exchange a code of wx.login for a session',
    description: 'The same code at the same time, or again within ten seconds, gets the same answer.',
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
    const { code, appid } = request.body
    const { clientAddress, requestId, traceparent } = recordOf(request.raw)
    reply.header('cache-control', 'no-store')
    return login.logIn({ code, appId: appid, clientKey: networkKey(clientAddress), requestId, traceparent })
  })
}
