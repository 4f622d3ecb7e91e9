/** A generation: everything built from one configuration. It borrows from the last one what has not changed, and ends with
 *  its last request. */
import type { GatewayConfig, RouteConfig } from '../config/config.ts'
import { createKeyRing } from '../crypto/key-ring.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createEdge } from '../edge/edge.ts'
import { createEdgeHandler } from '../edge/handler.ts'
import { createAdmit } from '../http/admit.ts'
import { createHeaderNames } from '../http/headers/header-names.ts'
import { createPeers } from '../http/network.ts'
import type { Handler } from '../http/server.ts'
import { createAuthenticator } from '../identity/authenticator.ts'
import { createSessionEnding } from '../identity/end-session.ts'
import { createOpenDataReader } from '../identity/open-data-reader.ts'
import { createSessionKeys } from '../identity/session-keys.ts'
import { createSessions } from '../identity/sessions.ts'
import { createAccessTokens } from '../identity/tokens/access-tokens.ts'
import { createGrants } from '../identity/tokens/grants.ts'
import { createJwtCodecs } from '../identity/tokens/jwt-codecs.ts'
import { createRefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import { deriveSigningKeys } from '../identity/tokens/signing-keys.ts'
import { createUsers } from '../identity/users.ts'
import { createPlatforms } from '../platforms/registry.ts'
import { createWeChatPlatform } from '../platforms/wechat/platform.ts'
import { createCatchAll } from '../proxy/catch-all.ts'
import { createProxy, type ReverseProxy } from '../proxy/proxy.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import { createServiceHandler } from '../service/handler.ts'
import { createService } from '../service/service.ts'
import { createUpstreams } from '../upstream/upstreams.ts'
import type { Borrower } from './lender.ts'
import { borrowLogin } from './login-parts.ts'
import type { Parts } from './parts.ts'
import type { Shared } from './shared.ts'
import { createUnderWay } from './under-way.ts'

export interface Generation {
  readonly parts: Parts
  readonly proxy: ReverseProxy
  readonly edge: Handler
  readonly service: Handler
  /** Gives its parts back when its last request has ended. */
  retire(): Promise<void>
  /** Breaks requests off and gives its parts back. */
  close(): Promise<void>
}

/** Takes nothing when it fails. */
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
  const parts = await borrowParts(config, shared, borrower)
  const { clock, revocations, lifecycle, unverified, guard } = shared
  const { authenticator, upstreams, openData } = parts
  const { limits, trustedProxies } = config.server
  const proxyParts = [authenticator, upstreams, openData, config.routes, limits.bodyIdleTimeout]
  const proxy = await borrow('proxy', proxyParts, () =>
    createProxy({
      clock,
      routes: config.routes,
      bodyIdleTimeout: limits.bodyIdleTimeout,
      authenticator,
      revocations,
      upstreamOf: (name) => upstreams.get(name),
      lifecycle,
      openData,
      unverified,
      limiterOf: (route) => limiterOf(route, shared),
      guard
    })
  )
  const { routes, upstreams: _, server, ...rest } = config
  const own = [rest, server.loginLimit, server.limits, config.login.hook && upstreams, ...Object.values(parts.borrowed)]
  const ownEndpoints = await borrow('edge', own, () => createEdge(parts))
  const service = await borrow('service', [...own, ownEndpoints], () =>
    createService({ ...parts, edgeDocument: ownEndpoints.document })
  )
  const forward = await borrow('catch-all', [proxy], () => createCatchAll(proxy))
  const underWay = createUnderWay()
  const peers = await borrow('peers', [trustedProxies], () => createPeers(trustedProxies))
  const injected = namesOfRoutes(routes)
  const names = await borrow('header-names', [injected], () => createHeaderNames(injected))
  const nobody = { finished() {} }

  return {
    parts,
    proxy,
    edge: createEdgeHandler({
      admit: createAdmit({ limits, names, peers, observer: shared.observer, allowsRawPercent: true }),
      peers,
      own: ownEndpoints.routing,
      forward,
      proxy,
      lifecycle,
      unverified,
      bodyTimeout: limits.bodyIdleTimeout,
      underWay
    }),
    service: createServiceHandler({
      admit: createAdmit({ limits, names, peers, observer: nobody, opaque: '/auth/verify' }),
      peers,
      routing: service.routing,
      underWay
    }),
    async retire() {
      await underWay.ended()
      await borrower.release()
    },
    async close() {
      await shared.pools.close()
      await borrower.release()
    }
  }
}

async function borrowParts(config: GatewayConfig, shared: Shared, borrower: Borrower): Promise<Parts> {
  const { borrow } = borrower
  const { clock, log, store, revocations, wechatUrl, pools, lookup } = shared
  const { accessTtl, refreshTtl, refreshMaxTtl, repeatWindow, algorithm, issuer, openId } = config.tokens
  const { sessionKeyTtl } = config.sessions
  const appIds = config.apps.map((app) => app.appId)
  const ring = await borrow('key-ring', [config.secrets], () => createKeyRing(config.secrets))
  const records = await borrow('records', [ring], () => createSealer(ring, 'records'))
  const tokenParts = [ring, algorithm, issuer, appIds, accessTtl, openId]
  const accessTokens = await borrow('access-tokens', tokenParts, async () =>
    createAccessTokens({
      codecs: await createJwtCodecs(deriveSigningKeys(ring, algorithm)),
      issuer,
      appIds,
      accessTtl,
      openId,
      sealer: createSealer(ring, 'openid', { deterministic: true }),
      clock
    })
  )
  const refreshTokens = await borrow('refresh-tokens', [ring], () => createRefreshTokens(ring))
  const authenticator = await borrow('authenticator', [accessTokens], () =>
    createAuthenticator(accessTokens, revocations)
  )
  const sessionKeys = await borrow('session-keys', [records, sessionKeyTtl], () =>
    createSessionKeys({ store, sealer: records, clock, sessionKeyTtl })
  )
  const upstreams = await borrow(
    'upstreams',
    [config.upstreams],
    () => createUpstreams(config.upstreams, { pools, clock }),
    (part) => part.release()
  )
  const { timeout } = config.wechat
  const wechat = await borrow(
    'wechat',
    [ring, wechatUrl, timeout],
    () => {
      const sealer = createSealer(ring, 'wechat-tokens')
      const sealToken = {
        seal: (text: string, aad: string) => sealer.seal(text, aad),
        open: (text: string, aad: string) => sealer.open(text, aad)?.text ?? null
      }
      return createWeChatPlatform({ apiBase: wechatUrl, timeout, lookup, store, clock, log, sealToken })
    },
    (part) => part.close()
  )
  const platforms = await borrow('platforms', [wechat, appIds], () =>
    createPlatforms(new Map(appIds.map((appId) => [appId, wechat])))
  )
  const openData = await borrow('open-data', [sessionKeys, platforms], () =>
    createOpenDataReader({ sessionKeys, openDataOf: (appId) => platforms.require(appId, 'openData'), clock })
  )
  const users = await borrow('users', [records], () => createUsers({ store, sealer: records, clock }))
  const sessions = await borrow('sessions', [refreshTtl, refreshMaxTtl, repeatWindow], () =>
    createSessions({ store, clock, refreshTtl, refreshMaxTtl, repeatWindow })
  )
  const grants = await borrow('grants', [accessTokens, refreshTokens, accessTtl, refreshTtl], () =>
    createGrants({ accessTokens, refreshTokens, accessTtl, refreshTtl })
  )
  const sessionEnding = await borrow('session-ending', [sessions, users, sessionKeys], () =>
    createSessionEnding({ sessions, users, sessionKeys, revocations })
  )
  const { loginLimit } = config.server
  const loginLimiter = await borrow('login-limiter', [loginLimit], () =>
    createRateLimiter({ store, clock, name: 'login', ...loginLimit })
  )
  const apps = new Map(config.apps.map((app) => [app.appId, app]))
  const subjects = { users, sessions, sessionKeys, sessionEnding, grants, platforms, loginLimiter }
  const { login, refresh } = await borrowLogin(config, shared, borrower, { ...subjects, refreshTokens, upstreams })
  const borrowed = { ...subjects, authenticator, openData, login, refresh }
  return {
    ...shared,
    ...borrowed,
    config,
    accessTokens,
    refreshTokens,
    upstreams,
    findApp: (appId) => apps.get(appId),
    borrowed
  }
}

/** Header names that routes set: clients cannot send them. */
export function namesOfRoutes(routes: readonly RouteConfig[]): string[] {
  return routes.flatMap(({ requestHeaders, inject }) => [...Object.keys(requestHeaders.set), ...Object.keys(inject)])
}

/** A request with a valid token goes on without the store, so its limit does too. */
function limiterOf({ path, methods, rateLimit }: RouteConfig, { store, clock }: Shared) {
  const name = `route:${path}${methods === null ? '' : `:${methods.join(',')}`}`
  return rateLimit && createRateLimiter({ store, clock, name, isLenient: true, ...rateLimit })
}
