/** POST /auth/refresh: the next pair of tokens for the last refresh token. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'
import { recordOf } from '../http/request.ts'

const Body = Type.Object({ refresh_token: Type.String({ minLength: 1, maxLength: 1024 }) })

export function addRefresh(app: FastifyInstance, { refresh }: Pick<Parts, 'refresh'>): void {
  app.post<{ Body: Static<typeof Body> }>('/auth/refresh', { schema: { body: Body } }, async (request, reply) => {
    const { clientAddress } = recordOf(request.raw)
    reply.header('cache-control', 'no-store')
    return refresh.refresh({ refreshToken: request.body.refresh_token, clientAddress })
  })
}
