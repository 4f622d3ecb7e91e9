/** The scope of those own endpoints that need a user: whatever is registered inside has one. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticator } from '../access/authenticator.ts'
import { ApiError } from '../errors.ts'
import { contextOf } from '../proxy/request-context.ts'
import type { Principal } from '../tokens/principal.ts'

const MISSING = new ApiError(
  'token_missing',
  'Send "Authorization: Bearer <access token>". Log in with wx.login to get one.'
)
const NOT_JSON = new ApiError('invalid_request', 'Send the body as application/json.')

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

/** A POST without data may name any type: wx.request says application/json, and what is wrapped around it, `fetch` or
 *  `curl -d ''` say others. */
function acceptEmptyBodies(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, null)
    else parse(request, body, done)
  })
  scope.removeContentTypeParser('text/plain')
  scope.addContentTypeParser<string>('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') done(null, null)
    else done(NOT_JSON)
  })
}

export function principalOf(request: FastifyRequest): Principal {
  const { principal } = contextOf(request.raw)
  if (!principal) throw MISSING
  return principal
}
