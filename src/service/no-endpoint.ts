/** The answer for a path without an endpoint, or without one for the method. It comes after those who ask have shown their
 *  token, and before anything is read of a body that nobody wants. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { admittedOf } from '../http/request.ts'

export const NOT_FOUND = new ApiError('not_found', 'The service listener has no such endpoint.')

/** Called before any endpoint is registered. */
export function addNoEndpoint(app: FastifyInstance): void {
  const known: { path: RegExp; methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    known.push({ path: patternOf(url), methods: [method].flat() })
  })
  app.addHook('preParsing', async (request) => {
    if (!request.is404) return
    const path = admittedOf(request.raw).target.path
    const methods = known.filter((endpoint) => endpoint.path.test(path)).flatMap((endpoint) => endpoint.methods)
    throw methods.length === 0 ? NOT_FOUND : notAllowed([...new Set(methods)].sort().join(', '))
  })
}

/** @param url As Fastify has it: `/v1/users/:appid/:openid`, `/wxapi/:appid/*`. */
function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll('.', '\\.').replaceAll('*', '.*').replace(/:\w+/g, '[^/]+')}$`)
}

function notAllowed(allow: string): ApiError {
  return new ApiError('method_not_allowed', `This endpoint accepts ${allow}.`, { headers: { allow } })
}
