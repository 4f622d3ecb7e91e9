/** The own endpoints of the public edge. */
import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from '../config/config.ts'
import { createEndpoints, type EndpointsOptions } from '../http/endpoints/app.ts'
import type { ErrorLog } from '../http/endpoints/errors.ts'
import { addHealth, type HealthDeps } from '../http/endpoints/health.ts'
import { addRoot } from '../http/endpoints/root.ts'
import { HSTS, isHttps } from '../http/headers/hsts.ts'
import { admittedOf, GatewayRequest } from '../http/request.ts'
import type { Platforms } from '../platforms/registry.ts'
import { ACCESS_TOKEN, type AuthenticatedDeps, addAuthenticated } from './authenticated.ts'
import { addKeys, type KeysDeps } from './keys.ts'
import { addLogin, type LoginDeps } from './login.ts'
import { addOpenData, type OpenDataDeps } from './open-data.ts'
import { addPayNotices, type PayNoticesDeps } from './pay-notices.ts'
import { addPhone, type PhoneDeps } from './phone.ts'
import { addPrefetch, type PrefetchDeps } from './prefetch.ts'
import { addPush, type PushDeps } from './push.ts'
import { addRefresh, type RefreshDeps } from './refresh.ts'
import { addLogout, addSession, type LogoutDeps, type SessionDeps } from './session.ts'

export type EdgeDeps = HealthDeps &
  KeysDeps &
  LoginDeps &
  RefreshDeps &
  AuthenticatedDeps &
  SessionDeps &
  LogoutDeps &
  OpenDataDeps &
  PhoneDeps &
  PushDeps &
  PrefetchDeps &
  PayNoticesDeps & {
    readonly config: Pick<GatewayConfig, 'server'>
    readonly platforms: Pick<Platforms, 'has'>
    readonly log: ErrorLog & PushDeps['log'] & PayNoticesDeps['log']
    readonly tracing: EndpointsOptions['tracing']
  }

export interface Edge {
  readonly routing: FastifyInstance['routing']
  /** Returns the OpenAPI document. */
  document(): object
}

const DOCUMENT = {
  title: 'wxgate, public edge',
  description: 'The endpoints that a mini-program calls. Every other path goes to a backend.',
  server: 'http://127.0.0.1:8080',
  tokens: { [ACCESS_TOKEN]: 'The access_token of /auth/login or /auth/refresh.' },
  tags: {
    session: 'Start, renew and end a session.',
    user: 'Data of the user.',
    push: 'Calls of WeChat.',
    pay: 'Calls of WeChat Pay.',
    operation: 'For load balancers and for the verification of tokens.'
  }
}

export async function createEdge(deps: EdgeDeps): Promise<Edge> {
  const { log, tracing = null } = deps
  const uriLimit = deps.config.server.limits.uri
  const app = await createEndpoints({ log, uriLimit, document: DOCUMENT, tracing })
  const { hsts } = deps.config.server
  if (hsts !== null) {
    app.addHook('onRequest', async ({ raw }, reply) => {
      if (!isHttps(admittedOf(raw))) return
      reply.header(HSTS, hsts)
      // Errors are sent outside Fastify.
      if (raw instanceof GatewayRequest) raw.answerHeaders = [HSTS, hsts]
    })
  }
  addHealth(app, deps)
  addRoot(app, { about: 'The edge of an auth gateway for WeChat mini-programs. No route covers this path.' })
  addKeys(app, deps)
  addLogin(app, deps)
  addRefresh(app, deps)
  if (deps.platforms.has('push')) addPush(app, deps)
  if (deps.platforms.has('pay')) addPayNotices(app, deps)
  addPrefetch(app, deps)
  addAuthenticated(app, deps, (scope) => {
    addSession(scope, deps)
    addLogout(scope, deps)
    if (deps.platforms.has('openData')) addOpenData(scope, deps)
    if (deps.platforms.has('phone')) addPhone(scope, deps)
  })
  await app.ready()
  return { routing: app.routing, document: () => app.swagger() }
}
