/** Authentication on the service listener: the scope in which an endpoint is registered. */
import type { FastifyInstance } from 'fastify'
import type { ServiceScope } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { describeScope } from '../http/endpoints/openapi.ts'
import { addNotFound } from '../http/endpoints/unknown-paths.ts'
import { admittedOf } from '../http/request.ts'
import type { Caller, Callers, Schemes } from './callers.ts'

/** Names and descriptions of the security schemes in the document, one per scope. */
export const SCHEMES = Object.fromEntries(
  (['session', 'wxapi', 'pay', 'admin'] satisfies ServiceScope[]).map((scope) => {
    return [schemeOf(scope), `A token listed under service.tokens with the scope \`${scope}\`.`]
  })
)

function schemeOf(scope: ServiceScope): string {
  return `${scope}Token`
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside the prefixes that need a service token. */
    caller: Caller | null
  }
}

/** Registers `endpoints` below `prefix`. Every path there needs a service token, including
 *  paths without an endpoint. */
export function addForCallers(
  app: FastifyInstance,
  prefix: string,
  { callers, schemes }: { readonly callers: Callers; readonly schemes: Schemes },
  endpoints: (app: FastifyInstance) => void
): void {
  app.register(
    async (below) => {
      // Hooks with a callback cost a call less than those with a promise.
      below.addHook('onRequest', (request, _reply, done) => {
        const caller = callers.identify(admittedOf(request.raw).headers.authorization, schemes)
        const isKnown = !(caller instanceof ApiError)
        request.audit = { caller: isKnown ? caller.name : null, app: null, user: null, path: null }
        if (!isKnown) return done(caller)
        request.caller = caller
        done()
      })
      addNotFound(below)
      endpoints(below)
    },
    { prefix }
  )
}

/** Registers `endpoints` for callers whose token has the scope. */
export function addForScope(
  app: FastifyInstance,
  scope: ServiceScope,
  endpoints: (app: FastifyInstance) => void
): void {
  const forbidden = new ApiError('forbidden', `This needs a service token with the scope "${scope}".`)
  app.register(async (inside) => {
    inside.addHook('onRequest', (request, _reply, done) => {
      if (request.caller?.scopes.has(scope)) done()
      else done(forbidden)
    })
    describeScope(inside, {
      security: [{ [schemeOf(scope)]: [] }],
      codes: ['invalid_request', 'token_missing', 'token_invalid', 'forbidden'],
      bodyCodes: ['body_too_large']
    })
    endpoints(inside)
  })
}
