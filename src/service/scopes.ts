/** Authentication on the service listener is a matter of where an endpoint is registered. */
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { ServiceScope } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { SERVICE_TOKEN, withProblems } from '../http/endpoints/openapi.ts'
import { admittedOf } from '../http/request.ts'
import type { Caller, Callers } from './callers.ts'
import { NOT_FOUND } from './no-endpoint.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside the prefixes that need a service token. */
    caller: Caller | null
  }
}

/** Registers `endpoints` below `prefix`, where nothing is answered without a service token: not even that there is no such
 *  endpoint. */
export function addForCallers(
  app: FastifyInstance,
  prefix: string,
  callers: Callers,
  endpoints: (app: FastifyInstance) => void
): void {
  app.register(
    async (below) => {
      below.addHook('onRequest', async (request) => {
        const audit = { caller: null, app: null, user: null, path: null }
        request.audit = audit
        const caller = callers.identify(admittedOf(request.raw).headers.authorization)
        if (caller instanceof ApiError) throw caller
        request.caller = caller
        request.audit = { ...audit, caller: caller.name }
      })
      // In this scope, so that the hook above comes before that of no-endpoint.ts.
      below.setNotFoundHandler(() => {
        throw NOT_FOUND
      })
      endpoints(below)
    },
    { prefix }
  )
}

/** Registers `endpoints` for those callers whose token has the scope. */
export function addForScope(
  app: FastifyInstance,
  scope: ServiceScope,
  endpoints: (app: FastifyInstance) => void
): void {
  const forbidden = new ApiError('forbidden', `This needs a service token with the scope "${scope}".`)
  app.register(async (inside) => {
    inside.addHook('onRequest', async (request) => {
      if (!request.caller?.scopes.has(scope)) throw forbidden
    })
    inside.addHook('onRoute', (route) => describeScope(route, scope))
    endpoints(inside)
  })
}

const PROBLEMS = ['invalid_request', 'token_missing', 'token_invalid', 'forbidden'] as const

function describeScope(route: RouteOptions, scope: ServiceScope): void {
  const { response, ...schema } = route.schema ?? {}
  route.schema = {
    ...schema,
    security: [{ [SERVICE_TOKEN]: [scope] }],
    response: withProblems(response, schema.body === undefined ? PROBLEMS : [...PROBLEMS, 'body_too_large'])
  }
}
