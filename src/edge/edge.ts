/** The own endpoints of the public edge. */
import Fastify from 'fastify'
import type { Parts } from '../gateway/parts.ts'
import { useErrors } from '../http/endpoints/errors.ts'
import { addHealth } from '../http/endpoints/health.ts'
import { admittedOf } from '../http/request.ts'
import type { Routing } from '../proxy/catch-all.ts'
import { addAuthenticated } from './authenticated.ts'
import { addLogin } from './login.ts'
import { noEndpoint } from './no-endpoint.ts'
import { addOpenData } from './open-data.ts'
import { addPhone } from './phone.ts'
import { addRefresh } from './refresh.ts'
import { addLogout, addSession } from './session.ts'

/** Bytes that the body of an own endpoint may have; open data is the largest. */
const OWN_BODY_LIMIT = 256 * 1024

export async function createEdge(parts: Parts): Promise<Routing> {
  const app = Fastify({
    logger: false,
    bodyLimit: OWN_BODY_LIMIT,
    // The router sees the canonical path, as routes do.
    rewriteUrl(raw) {
      const { path, query } = admittedOf(raw).target
      return path + query
    },
    // No value is converted to another type, and no unknown member is dropped silently.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } }
  })
  useErrors(app, parts.log)
  app.addHook('onRequest', async (request) => {
    if (request.is404) throw noEndpoint(app, admittedOf(request.raw).target.path)
  })
  addHealth(app, parts)
  app.get('/.well-known/jwks.json', async () => ({ keys: parts.accessTokens.publicKeys }))
  addLogin(app, parts)
  addRefresh(app, parts)
  addAuthenticated(app, parts.authenticator, (scope) => {
    addSession(scope, parts)
    addLogout(scope, parts)
    if (parts.platforms.has('openData')) addOpenData(scope, parts)
    if (parts.platforms.has('phone')) addPhone(scope, parts)
  })
  await app.ready()
  return app.routing
}
