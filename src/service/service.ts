/** The private listener: for backends, operators and load balancers, never for the internet. */
import Fastify, { type FastifyInstance } from 'fastify'
import type { Parts } from '../gateway/parts.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { useErrors } from '../http/endpoints/errors.ts'
import { addHealth } from '../http/endpoints/health.ts'
import { addOpenApi, describeService } from '../http/endpoints/openapi.ts'
import { admittedOf } from '../http/request.ts'
import { addAudit } from './audit.ts'
import { createCallers } from './callers.ts'
import { addKickSession, addKickUser } from './kicks.ts'
import { addMetrics } from './metrics.ts'
import { addNoEndpoint } from './no-endpoint.ts'
import { addOpenData } from './open-data.ts'
import { addForCallers, addForScope } from './scopes.ts'
import { addCheckSession, addResetSession } from './session-keys.ts'
import { addSign } from './sign.ts'
import { addUsers } from './users.ts'
import { addVerify } from './verify.ts'
import { addWxapi } from './wxapi.ts'

const BODY_LIMIT = 256 * 1024

export interface ServiceStage {
  readonly routing: FastifyInstance['routing']
}

export async function createService(parts: Parts): Promise<ServiceStage> {
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    // The router sees the canonical path.
    rewriteUrl(raw) {
      const { path, query } = admittedOf(raw).target
      return path + query
    },
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    // Fastify would refuse longer ones in its own words; the target as a whole is limited at the front door.
    routerOptions: { maxParamLength: parts.config.server.limits.uri }
  })
  useErrors(app, parts.log)
  addAudit(app, parts.log)
  addNoEndpoint(app)
  await describeService(app)
  addOpenApi(app)
  addHealth(app, parts)
  addMetrics(app, parts)
  addVerify(app, parts)
  addCalls(app, parts)
  await app.ready()
  return { routing: app.routing }
}

/** Everything that needs a service token, by the scope it needs. */
function addCalls(app: FastifyInstance, parts: Parts): void {
  const { platforms } = parts
  const callers = createCallers(parts.config.service.tokens)
  addForCallers(app, '/v1', callers, (v1) => {
    acceptEmptyBodies(v1)
    addForScope(v1, 'session', (scope) => {
      if (platforms.has('openData')) addOpenData(scope, parts)
      if (platforms.has('signatures')) addSign(scope, parts)
      if (platforms.has('sessionKeys')) {
        addCheckSession(scope, parts)
        addResetSession(scope, parts)
      }
      addUsers(scope, parts)
    })
    addForScope(v1, 'admin', (scope) => {
      addKickUser(scope, parts)
      addKickSession(scope, parts)
    })
  })
  if (!platforms.has('egress')) return
  addForCallers(app, '/wxapi', callers, (wxapi) => {
    addForScope(wxapi, 'wxapi', (scope) => addWxapi(scope, parts))
  })
}
