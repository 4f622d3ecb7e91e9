/** The program's table of contents: what there is and what it is made of, for one configuration. */

import type { Clock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { createKeyRing } from '../crypto/key-ring.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createEdge } from '../edge/edge.ts'
import { createLifecycle } from '../http/lifecycle.ts'
import { createStrangerQueue } from '../http/unverified-queue.ts'
import { createAuthenticator } from '../identity/authenticator.ts'
import { createOpenDataReader } from '../identity/open-data-reader.ts'
import { createRevocations } from '../identity/revocations.ts'
import { createSessionKeys } from '../identity/session-keys.ts'
import { createSessions } from '../identity/sessions.ts'
import { createAccessTokens } from '../identity/tokens/access-tokens.ts'
import { createGrants } from '../identity/tokens/grants.ts'
import { createJwtCodecs } from '../identity/tokens/jwt-codecs.ts'
import { createRefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import { deriveSigningKeys } from '../identity/tokens/signing-keys.ts'
import { createUsers } from '../identity/users.ts'
import { createLoginCodes } from '../login/login-codes.ts'
import { createWeChat } from '../platforms/wechat/client.ts'
import { createProxy } from '../proxy/proxy.ts'
import { createRateLimiter } from '../routing/rate-limiter.ts'
import { createService } from '../service/service.ts'
import type { Store } from '../store/port.ts'
import { watchStore } from '../store/watch.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics } from '../telemetry/metrics.ts'
import { createUpstreams } from '../upstream/upstreams.ts'
import type { Parts } from './parts.ts'

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
