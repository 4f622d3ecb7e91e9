/** /auth/verify: forward-auth for nginx auth_request, Caddy, Traefik, Envoy and HAProxy. 204 with the identity headers for
 *  the client's Authorization, else the error it would have met on the edge. */
import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { admittedOf } from '../http/request.ts'
import { identityHeaders } from '../identity/identity-headers.ts'

const MISSING = new ApiError(
  'token_missing',
  'This path needs "Authorization: Bearer <access token>". Log in with wx.login first.'
)

export function addVerify(app: FastifyInstance, { authenticator, revocations }: Parts): void {
  const verify = (request: { raw: IncomingMessage }) => {
    // What is asked about is the credential alone. X-Forwarded-Uri and its kin say nothing here: whoever reaches this
    // listener could send them.
    const sender = authenticator.authenticate(admittedOf(request.raw).headers.authorization)
    if (sender === null) throw MISSING
    if (sender instanceof ApiError) throw sender
    const headers = identityHeaders(sender, 'wxgate', revocations.statusOf(sender))
    const pairs: Record<string, string> = {}
    for (let index = 0; index + 1 < headers.length; index += 2)
      pairs[headers[index] as string] = headers[index + 1] as string
    return pairs
  }
  const schema = {
    summary: "Whose access token is this? For a proxy's forward-auth",
    description: 'Asked with the Authorization header of a client. The answer carries the identity headers.',
    tags: ['operation'],
    response: withProblems({ 204: Type.Null({ description: 'Acceptable: X-OpenId, X-AppId and so on are set.' }) }, [
      'token_missing',
      'token_invalid',
      'token_expired',
      'session_revoked',
      'store_unavailable'
    ])
  }
  app.register(async (scope) => {
    // Whoever sends the method of the original request sends its Content-Type too, with its body or without: Fastify shall
    // parse neither.
    scope.addHook('onRequest', async ({ raw }) => {
      raw.headers = {}
    })
    // Envoy sends the method and, behind a prefix, the path of the original request.
    for (const url of ['/auth/verify', '/auth/verify/*']) {
      scope.route({
        method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
        url,
        schema,
        handler: async (request, reply) =>
          reply.code(204).headers(verify(request)).header('cache-control', 'no-store').send()
      })
    }
  })
}
