/** The scope of those own endpoints that need a user: whatever is registered inside has one. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { admittedOf } from '../http/request.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'

const MISSING = new ApiError(
  'token_missing',
  'Send "Authorization: Bearer <access token>". Log in with wx.login to get one.'
)

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside the scopes that need a user. */
    principal: Principal | null
  }
}

/** Registers `endpoints` in a scope where every request is authenticated before its body is read. */
export function addAuthenticated(
  app: FastifyInstance,
  authenticator: Authenticator,
  endpoints: (scope: FastifyInstance) => void
): void {
  app.register(async (scope) => {
    scope.decorateRequest('principal', null)
    scope.addHook('onRequest', async (request) => {
      const { headers, record } = admittedOf(request.raw)
      const sender = authenticator.authenticate(headers.authorization)
      if (sender === null) throw MISSING
      if (sender instanceof ApiError) throw sender
      record.identified(sender)
      request.principal = sender
    })
    acceptEmptyBodies(scope)
    endpoints(scope)
  })
}

export function principalOf(request: FastifyRequest): Principal {
  const { principal } = request
  if (!principal) throw MISSING
  return principal
}
