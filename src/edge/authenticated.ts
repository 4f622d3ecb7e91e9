/** The scope of the own endpoints that need a user. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError, type ErrorCode } from '../errors.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { describeScope } from '../http/endpoints/openapi.ts'
import { admittedOf } from '../http/request.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'

/** Name of the security scheme in the OpenAPI document. */
export const ACCESS_TOKEN = 'accessToken'

const CODES: readonly ErrorCode[] = ['token_missing', 'token_invalid', 'token_expired', 'session_revoked']

const MISSING = new ApiError(
  'token_missing',
  'Send "Authorization: Bearer <access token>". Log in with wx.login to get one.'
)

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside the scope that needs a user. */
    principal: Principal | null
  }
}

export interface AuthenticatedDeps {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
}

/** Registers `endpoints` in a scope that authenticates every request before its body is read. */
export function addAuthenticated(
  app: FastifyInstance,
  { authenticator }: AuthenticatedDeps,
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
    describeScope(scope, {
      security: [{ [ACCESS_TOKEN]: [] }],
      codes: [...CODES, 'store_unavailable'],
      bodyCodes: BODY_CODES
    })
    endpoints(scope)
  })
}

/** Errors of every endpoint with a body. */
export const BODY_CODES: readonly ErrorCode[] = ['invalid_request', 'body_too_large', 'request_timeout']

export function principalOf(request: FastifyRequest): Principal {
  const { principal } = request
  if (!principal) throw MISSING
  return principal
}
