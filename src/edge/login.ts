/** POST /auth/login: a code of the mini-program becomes a session. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'
import { networkKey } from '../http/network.ts'
import { recordOf } from '../http/request.ts'

/** WeChat publishes no grammar for codes; these are the characters of a URL query that need no encoding. */
const Body = Type.Object({
  code: Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,512}$' }),
  appid: Type.Optional(Type.String({ maxLength: 64 }))
})

export function addLogin(app: FastifyInstance, { login }: Pick<Parts, 'login'>): void {
  app.post<{ Body: Static<typeof Body> }>('/auth/login', { schema: { body: Body } }, async (request, reply) => {
    const { code, appid } = request.body
    const { clientAddress, requestId, traceparent } = recordOf(request.raw)
    reply.header('cache-control', 'no-store')
    return login.logIn({ code, appId: appid, clientKey: networkKey(clientAddress), requestId, traceparent })
  })
}
