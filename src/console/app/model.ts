/** The answers of the service listener that the console shows. */
import type { TargetStatus } from '../../service/status/upstreams.ts'

export type { ExplainedRoute, Explanation } from '../../proxy/explain/explanation.ts'
export type { AppStatus } from '../../service/status/apps.ts'
export type { CertificateStatus } from '../../service/status/certificates.ts'
export type { QueueStatus } from '../../service/status/queues.ts'
export type { RouteStatus } from '../../service/status/routes.ts'
export type { StatusAnswer } from '../../service/status/status.ts'
export type { TargetStatus, UpstreamStatus } from '../../service/status/upstreams.ts'

/** An event of the stream: the counts since the one before it. */
export interface Sample {
  readonly time: string
  readonly seconds: number
  readonly requests: number
  readonly errors: number
  readonly p50_ms: number | null
  readonly p99_ms: number | null
  readonly in_flight: number
  readonly logins: number
  readonly login_failures: number
  readonly wechat_errors: number
  /** Id of the newest entry of the recent failures. */
  readonly newest_failure: string
  readonly targets: readonly LiveTarget[]
}

export interface LiveTarget extends Pick<TargetStatus, 'target' | 'state' | 'in_flight' | 'waiting'> {
  readonly upstream: string
}

export interface FailureStatus {
  readonly id: string
  readonly kind: 'refused' | 'failed'
  readonly time: string
  readonly method: string
  readonly path: string
  readonly route: string | null
  readonly status: number
  readonly reason: string
  readonly cause: string | null
  readonly duration_ms: number
  readonly target: string | null
  readonly tries: number
  readonly client: string
  readonly app: string | null
  readonly user: string | null
  readonly request_id: string
}

export type Identity = Pick<FailureStatus, 'client' | 'app' | 'user'>

export interface DeadEvent {
  readonly id: string
  readonly appid: string
  readonly openid: string | null
  readonly event_id: string | null
  readonly body: string
  readonly reason: string
  readonly received: string
  readonly died: string
}

export interface Account {
  readonly appid: string
  readonly openid: string
}

export interface UserRecord {
  readonly id: string
  readonly status: 'anonymous' | 'bound'
  readonly unionid: string | null
  readonly linked_ids: readonly string[]
  readonly phone: { readonly number: string; readonly country_code: string } | null
  readonly first_login: string
  readonly last_login: string
  readonly authorization_revoked_at: string | null
}

export interface LiveSession {
  readonly id: string
  readonly appid: string
  readonly openid: string
  readonly user: string
  readonly refreshed_at: string
  readonly ends_at: string
  readonly refreshes: number
}

type Headers = readonly (readonly [name: string, value: string])[]

/** A login at the sandbox and a request through the gateway. */
export interface SandboxCall {
  readonly login: { readonly status: number; readonly body: string }
  /** Null when the login failed. */
  readonly answer: {
    readonly status: number
    readonly headers: Headers
    readonly body: string
    readonly is_truncated: boolean
  } | null
  /** Null when no backend was asked. */
  readonly received: {
    readonly upstream: string
    readonly method: string
    readonly path: string
    readonly headers: Headers
  } | null
}
