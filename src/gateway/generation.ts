/** A generation: everything built from one configuration. It borrows the unchanged parts of the
 *  previous one and ends with its last request. */
import type { AppConfig, GatewayConfig, RouteConfig } from '../config/config.ts'
import { createKeyRing, type KeyRing, mac } from '../crypto/key-ring.ts'
import { createEdge } from '../edge/edge.ts'
import { createEdgeHandler } from '../edge/handler.ts'
import { createAdmit } from '../http/admit.ts'
import type { Handler } from '../http/handler.ts'
import { createHeaderNames } from '../http/headers/header-names.ts'
import { createPeers } from '../http/network.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Platforms } from '../platforms/registry.ts'
import { createCatchAll } from '../proxy/catch-all.ts'
import type { ExplainedRequest } from '../proxy/explain/explained-request.ts'
import { type Explanation, explainRequest } from '../proxy/explain/explanation.ts'
import { createProxy, type ReverseProxy } from '../proxy/proxy.ts'
import { createServiceHandler } from '../service/handler.ts'
import { createService } from '../service/service.ts'
import type { Delivery } from '../upstream/delivery.ts'
import { createUpstreams, type Upstreams } from '../upstream/upstreams.ts'
import { createConsole } from './console-parts.ts'
import { borrowDeliveries } from './deliveries.ts'
import { borrowIdentity, type IdentityParts } from './identity-parts.ts'
import type { Borrower } from './lender.ts'
import { borrowLogin, type LoginParts } from './login-parts.ts'
import { borrowPlatforms } from './platform-parts.ts'
import { borrowPrefetch } from './prefetch-parts.ts'
import { borrowLoads, limiterOf } from './route-parts.ts'
import type { Shared } from './shared.ts'
import { createUnderWay } from './under-way.ts'
import { borrowWxapiLimits } from './wxapi-parts.ts'

/** Parts in force that commands, observers and tests may ask. */
export interface Parts
  extends Pick<Shared, 'lifecycle' | 'metrics' | 'history' | 'consoleLinks' | 'group' | 'heldBodies'>,
    Pick<IdentityParts, 'accessTokens' | 'users' | 'sessions' | 'sessionKeys'> {
  readonly platforms: Platforms
  readonly config: GatewayConfig
  readonly upstreams: Upstreams
}

export interface Generation {
  readonly parts: Parts
  /** Repairs the records behind an end that the store lost. */
  readonly mend: SessionEnding['mend']
  readonly proxy: ReverseProxy
  /** Decides about a request without serving it. */
  explain(request: ExplainedRequest): Explanation
  readonly authenticator: Authenticator
  /** They start when the generation comes into force. */
  readonly deliveries: readonly Delivery[]
  readonly edge: Handler
  readonly service: Handler
  /** Loads the code that no ordinary request needs. */
  loadRest(): Promise<void>
  /** Releases its parts when its last request has ended. */
  retire(): Promise<void>
  /** Breaks off running requests and releases its parts. */
  close(): Promise<void>
}

/** Releases every borrowed part when it fails. */
export async function createGeneration(config: GatewayConfig, shared: Shared): Promise<Generation> {
  const borrower = shared.lender.open()
  try {
    return await build(config, shared, borrower)
  } catch (error) {
    await borrower.release()
    throw error
  }
}

async function build(config: GatewayConfig, shared: Shared, borrower: Borrower): Promise<Generation> {
  const { borrow } = borrower
  const keyRing = await borrow('key-ring', [config.secrets], () => createKeyRing(config.secrets))
  const platforms = await borrowPlatforms(config, shared, borrower, keyRing)
  const identity = await borrowIdentity(config, shared, borrower, { keyRing, platforms })
  const upstreams = await borrow(
    'upstreams',
    [config.upstreams],
    () => createUpstreams(config.upstreams, shared),
    (part) => part.release()
  )
  const entry = await borrowLogin(config, shared, borrower, { ...identity, platforms, upstreams })
  const proxy = await borrowProxy(config, shared, borrower, { ...identity, keyRing, upstreams })
  const deliveries = {
    push: await borrowDeliveries(config, shared, borrower, upstreams, 'push'),
    pay: await borrowDeliveries(config, shared, borrower, upstreams, 'pay')
  }
  const parts = { ...identity, platforms, ...entry, upstreams }
  const own = await borrowEndpoints(config, shared, borrower, { ...parts, keyRing }, deliveries)
  const catchAll = await borrow('catch-all', [proxy], () => createCatchAll(proxy, shared.guard))
  if (!config.server.fastLane) await catchAll.load()

  const { lifecycle, unverified, observer, tracing } = shared
  const { limits, trustedProxies: trusted, proxyProtocol } = config.server
  const { userAgent } = config.logging
  const underWay = createUnderWay()
  const peers = await borrow('peers', [trusted, proxyProtocol], () => createPeers({ trusted, proxyProtocol }))
  const servicePeers = await borrow('service-peers', [trusted], () => createPeers({ trusted }))
  const injected = namesOfRoutes(config.routes)
  const names = await borrow('header-names', [injected], () => createHeaderNames(injected))
  return {
    parts: { ...shared, ...identity, platforms, config, upstreams },
    mend: identity.sessionEnding.mend,
    proxy,
    explain(request) {
      const placeOf = (index: number) => shared.history.placeOf(index) ?? `routes[${index}]`
      return explainRequest({ config, proxy, names, placeOf, isSecretKnown: true, knowsSessions: true }, request)
    },
    authenticator: identity.authenticator,
    deliveries: [...deliveries.push.values(), ...deliveries.pay.values()],
    edge: createEdgeHandler({
      admit: createAdmit({
        ...{ limits, names, peers, observer, recordsClient: userAgent, allowsRawPercent: true },
        ...(tracing === null ? {} : { openRecord: tracing.openRecord })
      }),
      peers,
      own: own.edge.routing,
      forward: catchAll.routing,
      ownsRoot: !config.routes.some(({ path }) => path === '/'),
      proxy,
      lifecycle,
      unverified,
      bodyTimeout: limits.bodyIdleTimeout,
      underWay
    }),
    service: createServiceHandler({
      admit: createAdmit({ limits, names, peers: servicePeers, observer: { finished() {} }, opaque: '/auth/verify' }),
      peers: servicePeers,
      routing: own.service.routing,
      ordinary: own.service.ordinary,
      underWay
    }),
    loadRest: catchAll.load,
    async retire() {
      await underWay.ended()
      await borrower.release()
    },
    async close() {
      shared.pools.close()
      await borrower.release()
    }
  }
}

type ProxyNeeds = Pick<IdentityParts, 'authenticator' | 'openData' | 'channelKeys' | 'waferKeys'> & {
  keyRing: KeyRing
  upstreams: Upstreams
}

async function borrowProxy(config: GatewayConfig, shared: Shared, borrower: Borrower, needs: ProxyNeeds) {
  const { clock, revocations, live, lifecycle, unverified, guard, heldBodies, metrics } = shared
  const { keyRing, authenticator, upstreams, openData, channelKeys, waferKeys } = needs
  const { routes } = config
  const { limits, serverTiming, hsts } = config.server
  const { bodyIdleTimeout } = limits
  const loadOf = await borrowLoads(routes, borrower)
  const identity = [authenticator, openData, channelKeys, waferKeys]
  return borrower.borrow('proxy', [keyRing, ...identity, upstreams, routes, bodyIdleTimeout, serverTiming, hsts], () =>
    createProxy({
      clock,
      routes,
      loopId: loopIdOf(config, keyRing),
      bodyIdleTimeout,
      serverTiming,
      hsts,
      authenticator,
      revocations,
      live,
      upstreamOf: (name) => upstreams.get(name),
      lifecycle,
      openData,
      channelKeys,
      heldBodies,
      channelMetrics: metrics,
      waferKeys,
      unverified,
      limiterOf: (route) => limiterOf(route, shared),
      loadOf,
      guard
    })
  )
}

type EndpointParts = IdentityParts & { readonly platforms: Platforms } & LoginParts

/** The Fastify scopes of both listeners. They depend on every part that is passed to them, and
 *  on all of the configuration but routes and upstreams. */
async function borrowEndpoints(
  config: GatewayConfig,
  shared: Shared,
  borrower: Borrower,
  { upstreams, keyRing, ...parts }: EndpointParts & { readonly upstreams: Upstreams; readonly keyRing: KeyRing },
  deliveries: Readonly<Record<'push' | 'pay', ReadonlyMap<string, Delivery>>>
) {
  const { borrow } = borrower
  const { prefetchUsers, sources } = await borrowPrefetch(config, shared, borrower, { ...parts, upstreams })
  const { routes: _, upstreams: __, server, ...rest } = config
  const { loginLimit, limits, hsts } = server
  const dependsOn = [
    rest,
    loginLimit,
    limits,
    hsts,
    config.login.hook && upstreams,
    ...Object.values(parts),
    ...deliveries.push.values(),
    ...deliveries.pay.values(),
    ...sources.values(),
    prefetchUsers
  ]
  const apps = new Map(config.apps.map((app) => [app.appId, app]))
  const findApp = (appId: string): AppConfig | undefined => apps.get(appId)
  const deliveryOf = (appId: string) => deliveries.push.get(appId)
  const payDeliveryOf = (appId: string) => deliveries.pay.get(appId)
  const prefetchOf = (appId: string) => sources.get(appId)
  const wxapiLimits = await borrowWxapiLimits(config, shared, borrower)
  const deadEvents = (['push', 'pay'] as const).flatMap((kind) =>
    [...deliveries[kind]].map(([appId, delivery]) => ({ kind, appId, delivery }))
  )
  const asked = { findApp, deliveryOf, payDeliveryOf, prefetchOf }
  const deps = { ...shared, ...parts, ...asked, config, deadEvents, prefetchUsers, wxapiLimits }
  const edge = await borrow('edge', dependsOn, () => createEdge(deps))
  const service = await borrow('service', [...dependsOn, edge], () =>
    createService({ ...deps, edgeDocument: edge.document, addConsole: createConsole(config, keyRing, deps) })
  )
  return { edge, service }
}

/** Header names that routes set; clients cannot send them. */
export function namesOfRoutes(routes: readonly RouteConfig[]): string[] {
  return routes.flatMap(({ requestHeaders, inject }) => [...Object.keys(requestHeaders.set), ...Object.keys(inject)])
}

/** Names all instances with these secrets, routes and upstreams: two gateways in a row differ in
 *  one of them. */
function loopIdOf({ routes, upstreams }: GatewayConfig, { current }: KeyRing): string {
  return `wxgate-${mac(current.derive('loop', 32), JSON.stringify([routes, upstreams])).slice(0, 16)}`
}
