/** Parts that own endpoints depend on. */

import type { Clock } from '../clock.ts'
import type { AppConfig, GatewayConfig } from '../config/config.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import type { Sessions } from '../identity/sessions.ts'
import type { AccessTokens } from '../identity/tokens/access-tokens.ts'
import type { Grants } from '../identity/tokens/grants.ts'
import type { RefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import type { Users } from '../identity/users.ts'
import type { Login } from '../login/login.ts'
import type { Refresh } from '../login/refresh.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import type { Store } from '../store/port.ts'
import type { StoreWatch } from '../store/watch.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Upstreams } from '../upstream/upstreams.ts'

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
  readonly platforms: Platforms
  readonly users: Users
  readonly sessions: Sessions
  readonly sessionKeys: SessionKeys
  readonly openData: OpenDataReader
  readonly login: Login
  readonly refresh: Refresh
  readonly sessionEnding: SessionEnding
  readonly revocations: Revocations
  readonly grants: Grants
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  readonly authenticator: Authenticator
  readonly loginLimiter: RateLimiter
  readonly upstreams: Upstreams
  /** Undefined for an appid that is not configured. */
  findApp(appId: string): AppConfig | undefined
  /** Those that a generation borrows, and own endpoints depend on. */
  readonly borrowed: Readonly<Record<string, object>>
}
