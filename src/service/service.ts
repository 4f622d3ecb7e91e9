/** The private listener, for backends, operators and load balancers. Never expose it to the
 *  internet. */
import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from '../config/config.ts'
import { createEndpoints } from '../http/endpoints/app.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import type { ErrorLog } from '../http/endpoints/errors.ts'
import { addHealth, type HealthDeps } from '../http/endpoints/health.ts'
import { addRoot } from '../http/endpoints/root.ts'
import type { FindOrdinary } from '../http/handler.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type AuditLog, addAudit } from './audit.ts'
import { type Callers, createCallers } from './callers.ts'
import { addDocuments } from './documents.ts'
import { addHostCheck, createHostCheck } from './host-check.ts'
import { addMetrics, type MetricsDeps } from './metrics.ts'
import { addOpenData, type OpenDataDeps } from './open-data.ts'
import { addAdminCalls, addLookUps, type OperatorDeps } from './operator-calls.ts'
import { createOrdinaryCalls } from './ordinary-calls.ts'
import { addPayParams, addPayRequest, type PayDeps } from './pay.ts'
import { addForCallers, addForScope, SCHEMES } from './scopes.ts'
import { addCheckSession, addResetSession, type SessionKeyDeps } from './session-keys.ts'
import { addSign, type SignDeps } from './sign.ts'
import { addVerify, type VerifyDeps } from './verify.ts'
import { addWaferAuth, type WaferAuthDeps } from './wafer-auth.ts'
import { addWxapi } from './wxapi.ts'
import { createWxapi, type ServeWxapi, type WxapiDeps } from './wxapi-call.ts'

export type ServiceDeps = HealthDeps &
  MetricsDeps &
  VerifyDeps &
  WaferAuthDeps &
  OpenDataDeps &
  SignDeps &
  SessionKeyDeps &
  PayDeps &
  OperatorDeps &
  WxapiDeps & {
    readonly config: Pick<GatewayConfig, 'server' | 'service'>
    readonly platforms: Pick<Platforms, 'has'>
    readonly log: ErrorLog & AuditLog
    /** The OpenAPI document of the edge. */
    readonly edgeDocument: () => object
    /** Registers the web console. Null without one. */
    readonly addConsole: ((scope: FastifyInstance) => void) | null
  }

export interface Service {
  readonly routing: FastifyInstance['routing']
  /** Calls that need no Fastify. */
  readonly ordinary: FindOrdinary
  /** Returns the OpenAPI document. */
  document(): object
}

const DOCUMENT = {
  title: 'wxgate, service listener',
  description: 'For backends and operators. It listens on a private address; never expose it to the internet.',
  server: 'http://127.0.0.1:9090',
  tokens: SCHEMES,
  tags: {
    session: 'Data, signatures and session_key of a user.',
    pay: 'Payments.',
    admin: 'The state of the gateway; end sessions; look at events that were given up.',
    wxapi: 'The API of WeChat.',
    operation: 'For load balancers, proxies and monitoring.'
  }
}

export async function createService(deps: ServiceDeps): Promise<Service> {
  const { config, log } = deps
  const app = await createEndpoints({ log, uriLimit: config.server.limits.uri, document: DOCUMENT })
  addAudit(app, log)
  app.decorateRequest('caller', null)
  app.decorateRequest('isEntitled', null)
  const document = () => app.swagger()
  const callers = createCallers(config.service.tokens)
  const isKnownHost = createHostCheck(config.service)
  const serveWxapi = deps.platforms.has('egress') ? createWxapi(deps) : null
  // Load balancers and proxies send the Host of their clients.
  addHealth(app, deps)
  addVerify(app, deps)
  app.register(async (scope) => {
    addHostCheck(scope, isKnownHost)
    addRoot(scope, {
      about: 'The service listener of an auth gateway for WeChat mini-programs: for backends and operators.',
      openapi: '/openapi/service.json',
      metrics: '/metrics'
    })
    addDocuments(scope, { edge: deps.edgeDocument, service: document })
    addMetrics(scope, deps)
    addWaferAuth(scope, deps)
    addCalls(scope, deps, callers, serveWxapi)
    deps.addConsole?.(scope)
  })
  await app.ready()
  const ordinary = serveWxapi ? createOrdinaryCalls({ callers, isKnownHost, serveWxapi, log }) : () => null
  return { routing: app.routing, ordinary, document }
}

/** The endpoints that need a service token, by scope. */
function addCalls(app: FastifyInstance, deps: ServiceDeps, callers: Callers, serveWxapi: ServeWxapi | null): void {
  const { platforms } = deps
  addForCallers(app, '/v1', { callers, schemes: 'bearer' }, (v1) => {
    acceptEmptyBodies(v1)
    addForScope(v1, 'session', (scope) => {
      if (platforms.has('openData')) addOpenData(scope, deps)
      if (platforms.has('signatures')) addSign(scope, deps)
      if (platforms.has('sessionKeys')) {
        addCheckSession(scope, deps)
        addResetSession(scope, deps)
      }
      addLookUps(scope, deps)
    })
    addForScope(v1, 'pay', (scope) => {
      if (!platforms.has('pay')) return
      addPayParams(scope, deps)
      addPayRequest(scope, deps)
    })
    addForScope(v1, 'admin', (scope) => {
      addAdminCalls(scope, deps)
    })
  })
  if (serveWxapi === null) return
  addForCallers(app, '/wxapi', { callers, schemes: 'basic' }, (wxapi) => {
    addForScope(wxapi, 'wxapi', (scope) => addWxapi(scope, serveWxapi))
  })
}
