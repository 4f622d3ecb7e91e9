/** POST /auth/refresh: exchanges a refresh token for the next pair of tokens. */
import type { FastifyInstance } from 'fastify'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { recordOf } from '../http/request.ts'
import type { Refresh } from '../login/refresh.ts'
import { type Static, Type } from '../schema.ts'
import { BODY_CODES } from './authenticated.ts'
import { grantProperties } from './grant.ts'

export interface RefreshDeps {
  readonly refresh: Refresh
}

const Body = Type.Object({
  refresh_token: Type.String({ minLength: 1, maxLength: 1024 }),
  attempt: Type.Optional(
    Type.String({
      minLength: 16,
      maxLength: 64,
      description: 'Random text that allows only its sender to repeat the call.'
    })
  )
})
const Answer = Type.Object(grantProperties, { additionalProperties: false, description: 'The next pair of tokens.' })

export function addRefresh(app: FastifyInstance, { refresh }: RefreshDeps): void {
  const schema = {
    operationId: 'refresh',
    summary: 'Exchange a refresh token for the next pair of tokens',
    description:
      'The old refresh token ends. A repeat within `tokens.repeatWindow` gets the same answer; any other second use ends the session.',
    tags: ['session'],
    security: PUBLIC,
    body: Body,
    response: withProblems({ 200: Answer }, [
      'refresh_invalid',
      'refresh_reused',
      'rate_limited',
      'store_unavailable',
      ...BODY_CODES
    ])
  }
  app.post<{ Body: Static<typeof Body> }>('/auth/refresh', { schema }, async (request, reply) => {
    const { clientAddress } = recordOf(request.raw)
    const { refresh_token: refreshToken, attempt = null } = request.body
    reply.header('cache-control', 'no-store')
    return refresh.refresh({ refreshToken, attempt, clientAddress })
  })
}
