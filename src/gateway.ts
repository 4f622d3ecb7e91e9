/** The program's table of contents: what there is, what it is made of, in which order it starts and ends. */
import { createAuthenticator } from './access/authenticator.ts'
import { createJwtCodecs } from './access/jwt-codecs.ts'
import { createRateLimiter } from './access/rate-limiter.ts'
import type { Clock } from './clock.ts'
import type { GatewayConfig } from './config/config.ts'
import { createKeyRing } from './crypto/key-ring.ts'
import { createSealer } from './crypto/sealer.ts'
import { createEdge } from './edge/edge.ts'
import { createListener } from './edge/listener.ts'
import { createLifecycle } from './lifecycle.ts'
import type { Parts } from './parts.ts'
import { createProxy } from './proxy/proxy.ts'
import { createServiceListener } from './service/listener.ts'
import { createService } from './service/service.ts'
import { createLoginCodes } from './sessions/login-codes.ts'
import { createOpenDataReader } from './sessions/open-data.ts'
import { createRevocations } from './sessions/revocations.ts'
import { createSessionKeys } from './sessions/session-keys.ts'
import { createSessions } from './sessions/sessions.ts'
import type { Store } from './store/port.ts'
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

export interface Gateway {
  readonly parts: Parts
  /** Opens both listeners; resolves when they accept connections. Readiness follows when the store has been read. */
  listen(): Promise<{ edge: Address; service: Address }>
  /** Resolves when the first whole reading of the store is done, however long that takes. */
  ready(): Promise<void>
  /** Says "not ready" and goes on serving; then, after `delay`, takes no more and finishes what is under way. */
  drain(): Promise<void>
  /** Takes another configuration over, whole or not at all. Throws {@link NeedsRestart} when it changes what only a start
   *  can. Requests under way end as they began. */
  reload(config: GatewayConfig): Promise<void>
  /** At once. */
  close(): Promise<void>
}

/** How long after a reload the connections of before stay at hand for requests that have not used them yet
 *  (milliseconds). */
const RETIRE_AFTER = 60_000

/** What a running gateway cannot change. */
export class NeedsRestart extends Error {
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')} can only be changed by a restart`)
    this.name = 'NeedsRestart'
    this.keys = keys
  }
}

export interface Address {
  readonly host: string
  readonly port: number
}

export async function buildGateway(first: GatewayConfig, dependencies: GatewayDependencies): Promise<Gateway> {
  const lasting = createLasting(first, dependencies)
  const { lifecycle, revocations } = lasting
  const { log } = dependencies
  let config = first
  let stage = await createStage(first, dependencies, lasting)
  const listener = createListener({ config, stage: stage.edge, lifecycle, parts: stage.parts })
  const serviceListener = createServiceListener(stage.service)
  const retired = new Set<Stage>()
  let isClosed = false

  /** A request that began under it may still be reading its body or waiting for an answer of WeChat's. */
  function retire(old: Stage): void {
    retired.add(old)
    const timer = setTimeout(() => {
      retired.delete(old)
      void old.retire()
    }, RETIRE_AFTER)
    timer.unref()
  }

  async function closeAll(timeout: number): Promise<void> {
    if (isClosed) return
    isClosed = true
    await listener.close(timeout)
    await serviceListener.close()
    revocations.stop()
    await Promise.all([stage, ...retired].map((one) => one.close()))
  }

  return {
    get parts() {
      return stage.parts
    },
    async listen() {
      const { server, service } = config
      const isShared = dependencies.isWorker ?? false
      return {
        edge: await listener.listen(server.host, server.port, isShared),
        service: await serviceListener.listen(service.host, service.port, isShared)
      }
    },
    async ready() {
      await revocations.start()
      lifecycle.isReady = true
    },
    async drain() {
      const { delay, timeout } = config.server.drain
      lifecycle.isDraining = true
      log.info({ delay, active: listener.active }, 'draining: not ready any more, still serving')
      await new Promise((resolve) => setTimeout(resolve, delay))
      await closeAll(timeout)
    },
    async reload(next) {
      const keys = restartOnly(config, next)
      if (keys.length > 0) throw new NeedsRestart(keys)
      const before = stage
      stage = await createStage(next, dependencies, lasting)
      config = next
      revocations.configure({ accessTtl: next.tokens.accessTtl, grace: next.sessions.storeGrace })
      listener.serve(stage.edge)
      serviceListener.serve(stage.service)
      retire(before)
    },
    close: () => closeAll(0)
  }
}

type Stage = Awaited<ReturnType<typeof createStage>>

/** What outlives a reload. */
type Lasting = Pick<Parts, 'lifecycle' | 'revocations' | 'metrics'>

function createLasting(config: GatewayConfig, { store, clock, log }: GatewayDependencies): Lasting {
  const { accessTtl } = config.tokens
  const revocations = createRevocations({ store, clock, log, accessTtl, grace: config.sessions.storeGrace })
  const metrics = createMetrics({
    feedAge: () => revocations.age() / 1000,
    isStoreTrusted: () => revocations.isTrusted,
    revocations: () => revocations.size
  })
  return { lifecycle: createLifecycle(), revocations, metrics }
}

/** Everything that one configuration stands for. */
async function createStage(config: GatewayConfig, dependencies: GatewayDependencies, lasting: Lasting) {
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

/** The keys that differ and cannot be changed while running. */
function restartOnly(before: GatewayConfig, after: GatewayConfig): string[] {
  const pick = ({ server, service, store, logging, wechat }: GatewayConfig): Record<string, unknown> => ({
    'server.host': server.host,
    'server.port': server.port,
    'server.workers': server.workers,
    'server.tls': server.tls,
    'server.limits': { ...server.limits, body: 0 },
    'service.host': service.host,
    'service.port': service.port,
    store,
    logging,
    'wechat.apiBase': wechat.apiBase
  })
  const [old, next] = [pick(before), pick(after)]
  return Object.keys(old).filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]))
}

async function createParts(config: GatewayConfig, dependencies: GatewayDependencies, lasting: Lasting): Promise<Parts> {
  const { store, clock, log } = dependencies
  const { revocations, lifecycle } = lasting
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
      // A request with a valid token goes on without the store, so its limit does too.
      limiterOf: ({ path, rateLimit }) =>
        rateLimit && createRateLimiter({ store, clock, name: `route:${path}`, isLenient: true, ...rateLimit })
    }),
    findApp: (appId) => apps.get(appId)
  }
}
