/** The answers of the service listener that the console shows. */
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
export type { ExplainedRoute, Explanation } from '../../cli/explanation.ts'
