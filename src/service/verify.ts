/** /auth/verify: forward-auth for nginx auth_request, Caddy, Traefik, Envoy and HAProxy.
 *  Reads only the client's Authorization header: 204 with the identity headers, or the error of
 *  the edge. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { addNotFound } from '../http/endpoints/unknown-paths.ts'
import { type AdmittedRequest, admittedOf } from '../http/request.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import { identityHeaders } from '../identity/identity-headers.ts'
import type { Revocations } from '../identity/revocations.ts'
import { Type } from '../schema.ts'

export interface VerifyDeps {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly revocations: Pick<Revocations, 'statusOf'>
}

const Query = Type.Object({
  apps: Type.Optional(
    Type.String({ description: 'AppIDs, separated by commas: tokens of other mini-programs are 403.' })
  )
})

const MISSING = new ApiError(
  'token_missing',
  'This path needs "Authorization: Bearer <access token>". Log in with wx.login first.'
)

const OTHER_APP = new ApiError('app_not_allowed', 'The access token belongs to another mini-program.')

/** Every `apps` of the query must name the app. A proxy may append its client's query, which
 *  can only narrow. */
function isNamed(appId: string, query: string): boolean {
  return new URLSearchParams(query).getAll('apps').every((list) => list.split(',').includes(appId))
}

export function addVerify(app: FastifyInstance, { authenticator, revocations }: VerifyDeps): void {
  /** Name and value in turns. Ignores X-Forwarded-Uri and its kind: anyone who reaches this
   *  listener can send them. */
  function verify({ headers: { authorization }, target }: AdmittedRequest): string[] {
    const sender = authenticator.authenticate(authorization)
    if (sender === null) throw MISSING
    if (sender instanceof ApiError) throw sender
    if (!isNamed(sender.appId, target.query)) throw OTHER_APP
    return identityHeaders(sender, revocations.statusOf(sender))
  }

  const schema = {
    operationId: 'verify',
    summary: 'The identity behind an access token, for the forward-auth of a proxy',
    description:
      'Send the Authorization header of a client. Other methods, and any path below this one, get the same answer; the body is not read.',
    tags: ['operation'],
    security: PUBLIC,
    querystring: Query,
    response: withProblems({ 204: Type.Null({ description: 'Accepted: X-OpenId, X-AppId and so on are set.' }) }, [
      'token_missing',
      'token_invalid',
      'token_expired',
      'session_revoked',
      'app_not_allowed',
      'store_unavailable'
    ])
  }
  app.register(
    async (scope) => {
      // Answers before Fastify reads the body: a proxy may repeat the method and Content-Type of
      // the original request.
      scope.addHook('onRequest', async (request, reply) => {
        const headers = verify(admittedOf(request.raw))
        for (let index = 0; index + 1 < headers.length; index += 2) {
          reply.header(headers[index] as string, headers[index + 1])
        }
        return reply.code(204).header('cache-control', 'no-store').send()
      })
      // Any other method and path: a proxy may repeat those of the original request.
      addNotFound(scope)
      scope.get('', { schema }, async () => null)
    },
    { prefix: '/auth/verify' }
  )
}
