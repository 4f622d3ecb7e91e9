/** The scope of those own endpoints that need a user: whatever is registered inside has one. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { contextOf } from '../http/record.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'

const MISSING = new ApiError(
  'token_missing',
  'Send "Authorization: Bearer <access token>". Log in with wx.login to get one.'
)

/** Registers `endpoints` in a scope where every request is authenticated before its body is read. */
export function addAuthenticated(
  app: FastifyInstance,
  authenticator: Authenticator,
  endpoints: (scope: FastifyInstance) => void
): void {
  app.register(async (scope) => {
    scope.addHook('onRequest', async (request) => {
      const context = contextOf(request.raw)
      const sender = authenticator.authenticate(context.headers?.authorization)
      if (sender === null) throw MISSING
      if (sender instanceof ApiError) throw sender
      context.principal = sender
    })
    acceptEmptyBodies(scope)
    endpoints(scope)
  })
}

export function principalOf(request: FastifyRequest): Principal {
  const { principal } = contextOf(request.raw)
  if (!principal) throw MISSING
  return principal
}
