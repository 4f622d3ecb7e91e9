/** What the listeners are made of. */
import type { Authenticator } from './access/authenticator.ts'
import type { RateLimiter } from './access/rate-limiter.ts'
import type { Clock } from './clock.ts'
import type { AppConfig, GatewayConfig } from './config/config.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { ReverseProxy } from './proxy/proxy.ts'
import type { StrangerQueue } from './proxy/stranger-queue.ts'
import type { LoginCodes } from './sessions/login-codes.ts'
import type { OpenDataReader } from './sessions/open-data.ts'
import type { Revocations } from './sessions/revocations.ts'
import type { SessionKeys } from './sessions/session-keys.ts'
import type { Sessions } from './sessions/sessions.ts'
import type { Store } from './store/port.ts'
import type { StoreWatch } from './store/watch.ts'
import type { AccessLog } from './telemetry/access-log.ts'
import type { Log } from './telemetry/log.ts'
import type { Metrics } from './telemetry/metrics.ts'
import type { AccessTokens } from './tokens/access-tokens.ts'
import type { Grants } from './tokens/grants.ts'
import type { RefreshTokens } from './tokens/refresh-tokens.ts'
import type { Upstreams } from './upstream/upstreams.ts'
import type { Users } from './users/users.ts'
import type { WeChatClient } from './wechat/client.ts'

export interface Parts {
  readonly config: GatewayConfig
  readonly clock: Clock
  readonly log: Log
  readonly accessLog: AccessLog
  readonly metrics: Metrics
  /** In a worker: the metrics of all of them. */
  readonly groupMetrics?: (own: () => Promise<string>) => Promise<string>
  readonly lifecycle: Lifecycle
  readonly store: Store
  readonly storeWatch: StoreWatch
  readonly wechat: WeChatClient
  /** Where api.weixin.qq.com is. */
  readonly wechatUrl: string
  readonly users: Users
  readonly sessions: Sessions
  readonly sessionKeys: SessionKeys
  readonly openData: OpenDataReader
  readonly loginCodes: LoginCodes
  readonly revocations: Revocations
  readonly grants: Grants
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly authenticator: Authenticator
  readonly loginLimiter: RateLimiter
  readonly upstreams: Upstreams
  readonly proxy: ReverseProxy
  /** One for all stages. */
  readonly strangers: StrangerQueue
  /** Undefined for an appid that is not configured. */
  findApp(appId: string): AppConfig | undefined
}
