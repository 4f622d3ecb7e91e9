/** Answers a path without an endpoint, or without one for the method: 404, or 405 with Allow. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../../errors.ts'
import { admittedOf } from '../request.ts'

const NOT_FOUND = new ApiError('not_found', 'The gateway has no such endpoint.')

/** Call it before the first endpoint is registered. The answer follows the onRequest hooks,
 *  which authenticate, and precedes reading the body. */
export function answerUnknownPaths(app: FastifyInstance): void {
  const known: { path: RegExp; methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ url, method }) => {
    known.push({ path: patternOf(url), methods: [method].flat() })
  })
  addNotFound(app)
  app.addHook('preParsing', (request, _reply, payload, done) => {
    if (!request.is404) return done(null, payload)
    const { path } = admittedOf(request.raw).target
    const methods = known.filter((endpoint) => endpoint.path.test(path)).flatMap((endpoint) => endpoint.methods)
    done(methods.length === 0 ? NOT_FOUND : notAllowed([...new Set(methods)].sort().join(', ')))
  })
}

/** Gives the scope its own 404 route, so that its onRequest hooks also run for unknown paths. */
export function addNotFound(scope: FastifyInstance): void {
  scope.setNotFoundHandler(() => {
    throw NOT_FOUND
  })
}

/** @param url In Fastify's form: `/v1/users/:appid/:openid`, `/wxapi/:appid/*`. */
function patternOf(url: string): RegExp {
  return new RegExp(`^${url.replaceAll('.', '\\.').replaceAll('*', '.*').replace(/:\w+/g, '[^/]+')}$`)
}

function notAllowed(allow: string): ApiError {
  return new ApiError('method_not_allowed', `This endpoint accepts ${allow}.`, { headers: { allow } })
}
