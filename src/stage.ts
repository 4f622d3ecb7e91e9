/** The program's table of contents: what there is and what it is made of, for one configuration. */
import { createAuthenticator } from './access/authenticator.ts'
import { createJwtCodecs } from './access/jwt-codecs.ts'
import { createRateLimiter } from './access/rate-limiter.ts'
import type { Clock } from './clock.ts'
import type { GatewayConfig } from './config/config.ts'
import { createKeyRing } from './crypto/key-ring.ts'
import { createSealer } from './crypto/sealer.ts'
import { createEdge } from './edge/edge.ts'
import { createLifecycle } from './lifecycle.ts'
import type { Parts } from './parts.ts'
import { createProxy } from './proxy/proxy.ts'
import { createStrangerQueue } from './proxy/stranger-queue.ts'
import { createService } from './service/service.ts'
import { createLoginCodes } from './sessions/login-codes.ts'
import { createOpenDataReader } from './sessions/open-data.ts'
import { createRevocations } from './sessions/revocations.ts'
import { createSessionKeys } from './sessions/session-keys.ts'
import { createSessions } from './sessions/sessions.ts'
import type { Store } from './store/port.ts'
import { watchStore } from './store/watch.ts'
import type { AccessLog } from './telemetry/access-log.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { createAccessTokens } from './tokens/access-tokens.ts'
import { createGrants } from './tokens/grants.ts'
import { createRefreshTokens } from './tokens/refresh-tokens.ts'
import { deriveSigningKeys } from './tokens/signing-keys.ts'
import { createUpstreams } from './upstream/upstreams.ts'
import { createUsers } from './users/users.ts'
import { createWeChat } from './wechat/client.ts'

export interface GatewayDependencies {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly accessLog: AccessLog
  /** Where api.weixin.qq.com is: the configuration's word for it, or the sandbox's URL. */
  readonly wechatUrl: string
  /** One of several processes on the same ports. */
  readonly isWorker?: boolean
  /** In a worker: the metrics of all of them, given a way to get its own. */
  readonly groupMetrics?: (own: () => Promise<string>) => Promise<string>
}

export type Stage = Awaited<ReturnType<typeof createStage>>

/** What outlives a reload. */
export type Lasting = Pick<Parts, 'store' | 'storeWatch' | 'lifecycle' | 'revocations' | 'metrics' | 'strangers'>

export function createLasting(config: GatewayConfig, dependencies: GatewayDependencies): Lasting {
  const { clock, log } = dependencies
  const { accessTtl } = config.tokens
  const storeWatch = watchStore(dependencies.store, {
    clock,
    onFailure: (operation) => metrics.storeFailed(operation)
  })
  const { store } = storeWatch
  const revocations = createRevocations({ store, clock, log, accessTtl, grace: config.sessions.storeGrace })
  const metrics = createMetrics({
    feedAge: () => revocations.age() / 1000,
    isStoreTrusted: () => revocations.isTrusted,
    revocations: () => revocations.size
  })
  return { store, storeWatch, lifecycle: createLifecycle(), revocations, metrics, strangers: createStrangerQueue() }
}

/** Everything that one configuration stands for. */
export async function createStage(config: GatewayConfig, dependencies: GatewayDependencies, lasting: Lasting) {
  const parts = await createParts(config, dependencies, lasting)
  const edge = await createEdge(parts)
  const service = await createService(parts)
  return {
    parts,
    edge,
    service,
    /** Breaks off what is under way. */
    async close() {
      await Promise.allSettled([parts.upstreams.close(), parts.wechat.close(), service.close()])
    },
    /** Lets go of connections once the last request is through. */
    async retire() {
      await parts.upstreams.retire()
      await Promise.allSettled([parts.wechat.close(), service.close()])
    }
  }
}

async function createParts(config: GatewayConfig, dependencies: GatewayDependencies, lasting: Lasting): Promise<Parts> {
  const { clock, log } = dependencies
  const { store, revocations, lifecycle, strangers } = lasting
  const { accessTtl, refreshTtl, refreshMaxTtl } = config.tokens
  const ring = createKeyRing(config.secrets)
  const records = createSealer(ring, 'records')
  const wechatTokens = createSealer(ring, 'wechat-tokens')
  const accessTokens = createAccessTokens({
    codecs: await createJwtCodecs(deriveSigningKeys(ring, config.tokens.algorithm)),
    issuer: config.tokens.issuer,
    appIds: config.apps.map((app) => app.appId),
    accessTtl,
    openId: config.tokens.openId,
    sealer: createSealer(ring, 'openid', { deterministic: true }),
    clock
  })
  const refreshTokens = createRefreshTokens(ring)
  const authenticator = createAuthenticator(accessTokens, revocations)
  const sessionKeys = createSessionKeys({
    store,
    sealer: records,
    clock,
    sessionKeyTtl: config.sessions.sessionKeyTtl
  })
  const openData = createOpenDataReader({ sessionKeys, clock })
  const upstreams = createUpstreams(config.upstreams)
  const apps = new Map(config.apps.map((app) => [app.appId, app]))
  return {
    ...dependencies,
    ...lasting,
    config,
    wechat: createWeChat({
      apiBase: dependencies.wechatUrl,
      timeout: config.wechat.timeout,
      store,
      clock,
      log,
      sealToken: {
        seal: (text, aad) => wechatTokens.seal(text, aad),
        open: (text, aad) => wechatTokens.open(text, aad)?.text ?? null
      }
    }),
    users: createUsers({ store, sealer: records, clock }),
    sessions: createSessions({ store, clock, refreshTtl, refreshMaxTtl }),
    sessionKeys,
    openData,
    loginCodes: createLoginCodes({ store, timeout: config.wechat.timeout + (config.login.hook?.timeout ?? 0) }),
    accessTokens,
    refreshTokens,
    grants: createGrants({ accessTokens, refreshTokens, accessTtl, refreshTtl }),
    authenticator,
    loginLimiter: createRateLimiter({ store, clock, name: 'login', ...config.server.loginLimit }),
    upstreams,
    proxy: createProxy({
      config,
      authenticator,
      revocations,
      upstreams,
      lifecycle,
      openData,
      strangers,
      // A request with a valid token goes on without the store, so its limit does too.
      limiterOf: ({ path, methods, rateLimit }) => {
        const name = `route:${path}${methods === null ? '' : `:${methods.join(',')}`}`
        return rateLimit && createRateLimiter({ store, clock, name, isLenient: true, ...rateLimit })
      }
    }),
    findApp: (appId) => apps.get(appId)
  }
}
