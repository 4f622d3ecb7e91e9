/** The public edge: our own endpoints, and everything else through the proxy. */
import { METHODS } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Parts } from '../gateway/parts.ts'
import { createFrontDoor } from '../http/admit.ts'
import { useErrors } from '../http/endpoints/errors.ts'
import { addHealth } from '../http/endpoints/health.ts'
import { isOwnPath } from '../http/path/own-paths.ts'
import { contextOf } from '../http/record.ts'
import type { EdgeStage } from '../http/server.ts'
import { addAuthenticated } from './authenticated.ts'
import { addLogin } from './login.ts'
import { noEndpoint } from './no-endpoint.ts'
import { addOpenData } from './open-data.ts'
import { addPhone } from './phone.ts'
import { addRefresh } from './refresh.ts'
import { addLogout, addSession } from './session.ts'

/** Bytes that the body of an own endpoint may have; open data is the largest. */
const OWN_BODY_LIMIT = 256 * 1024
const FORWARDED_METHODS = METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE')

/** What the edge's listener serves by `parts`. */
export async function createEdge(parts: Parts): Promise<EdgeStage> {
  const { config, proxy, log } = parts
  const app = Fastify({
    logger: false,
    bodyLimit: OWN_BODY_LIMIT,
    // Values are what they are: a number is no string, and what we do not know is not silently taken away.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } }
  })
  useErrors(app, log)
  addHealth(app, parts)
  app.get('/.well-known/jwks.json', async () => ({ keys: parts.accessTokens.publicKeys }))
  addLogin(app, parts)
  addRefresh(app, parts)
  addAuthenticated(app, parts.authenticator, (scope) => {
    addSession(scope, parts)
    addLogout(scope, parts)
    addOpenData(scope, parts)
    addPhone(scope, parts)
  })
  addProxy(app, parts)
  await app.ready()
  return { frontDoor: createFrontDoor(config), proxy, handler: app.routing }
}

/** Everything that is not ours arrives here under the path "/" (see listener.ts): which route it takes is the proxy's
 *  decision, made on the canonical path and nothing else. The plugin's preHandler takes the request over: its `handler` is
 *  called only after the plugin has built three URLs of a destination that is never used, which was 4 % of the CPU time. */
function addProxy(app: FastifyInstance, { proxy }: Parts): void {
  for (const method of FORWARDED_METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
  app.register(httpProxy, {
    upstream: 'http://upstream.invalid',
    httpMethods: FORWARDED_METHODS as never,
    preRewrite: () => '/',
    preHandler(request: FastifyRequest, reply: FastifyReply, done: (error: Error) => void) {
      const { target } = contextOf(request.raw)
      // What is ours and has no such endpoint must not be asked of an upstream.
      if (target !== null && isOwnPath(target.path)) {
        done(noEndpoint(app, target.path))
        return
      }
      reply.hijack()
      proxy.handle(request.raw, reply.raw)
    }
  } as never)
}
