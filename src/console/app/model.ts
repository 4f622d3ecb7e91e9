/** The answers of the service listener that the console shows. */
import type { TargetStatus } from '../../service/status/upstreams.ts'
import type { UserByIdRecord } from '../../service/users.ts'

export type { ExplainedRoute, Explanation } from '../../proxy/explain/explanation.ts'
export type { DeadEventStatus as DeadEvent } from '../../service/dead-events.ts'
export type { FailureIdentity as Identity, FailureStatus } from '../../service/failures.ts'
export type { LiveSessionStatus as LiveSession } from '../../service/session.ts'
export type { AppStatus, PathStatus } from '../../service/status/apps.ts'
export type { CertificateStatus } from '../../service/status/certificates.ts'
export type { QueueStatus } from '../../service/status/queues.ts'
export type { RouteStatus } from '../../service/status/routes.ts'
export type { StatusAnswer } from '../../service/status/status.ts'
export type { TargetStatus, UpstreamStatus } from '../../service/status/upstreams.ts'
export type { UserByIdRecord, UserRecord } from '../../service/users.ts'

export type Account = UserByIdRecord['accounts'][number]

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
  /** Id of the newest entry of the recent failures; null without one. */
  readonly newest_failure: string | null
  readonly targets: readonly LiveTarget[]
}

export interface LiveTarget extends Pick<TargetStatus, 'target' | 'state' | 'in_flight' | 'waiting'> {
  readonly upstream: string
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
