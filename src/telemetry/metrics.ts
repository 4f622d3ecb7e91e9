/** Prometheus metrics. Series with known labels start at 0: `increase()` and `rate()` do not count
 *  the event that creates a series. */
import { Counter, Registry } from 'prom-client'
import type { ErrorCode } from '../errors.ts'
import { type ChannelMetrics, createChannelMetrics } from './channel-metrics.ts'
import { type Counters, type QueueDepth, type QueueDepths, samplesOf } from './counters.ts'
import { createLaneMetrics } from './lane-metrics.ts'
import { addProcessMetrics } from './process-metrics.ts'
import { createQueueMetrics } from './queue-metrics.ts'
import { createRequestHistogram } from './request-histogram.ts'
import {
  addStateMetrics,
  createCertificateMetric,
  type MeasuredCertificate,
  type MeasuredState
} from './state-metrics.ts'
import { addUpstreamMetrics, type MeasuredUpstreams } from './upstream-metrics.ts'
import { createWxapiMetrics, type WxapiCaller, type WxapiResult } from './wxapi-metrics.ts'

/** Values of the label `result` of logins, beside `ok`. */
const LOGIN_ERRORS: readonly ErrorCode[] = [
  'code_invalid',
  'code_used',
  'invalid_request',
  'login_blocked',
  'rate_limited',
  'wechat_unavailable',
  'wechat_misconfigured',
  'upstream_unavailable',
  'store_unavailable',
  'internal_error'
]

const REFRESH_RESULTS = ['rotated', 'repeated', 'unknown', 'reused'] as const
const SECURITY_EVENTS = ['refresh_reused', 'login_code_reused'] as const

export type LoginOutcome = 'ok' | ErrorCode
export type RefreshOutcome = (typeof REFRESH_RESULTS)[number]
const PUSH_RESULTS = ['delivered', 'retried', 'dead', 'duplicate', 'full'] as const

export type PushResult = (typeof PUSH_RESULTS)[number]
const NOTICE_RESULTS = [...PUSH_RESULTS, 'refused'] as const
const PAY_RESULTS = ['ok', 'refused', 'failed', 'unverified', 'unavailable', 'misconfigured'] as const

/** Of a call of the pay API. `refused`: a status from 400 to 499; `failed`: 500 and more. */
export type PayResult = (typeof PAY_RESULTS)[number]
export type SecurityEvent = (typeof SECURITY_EVENTS)[number]

/** Label `route` of requests that no route took. */
const NO_ROUTE = 'none'

/** A finished request. */
export interface MeasuredRequest {
  /** Path as in the file; null for none. */
  readonly route: { readonly path: string } | null
  readonly status: number
  /** Milliseconds from the first byte to the last. */
  readonly ms: number
}

export interface Metrics extends ChannelMetrics {
  finished(request: MeasuredRequest): void
  /** A parse error was answered. */
  parseErrorAnswered(status: number): void
  /** The fast lane serves a request. */
  fastRequest(): void
  /** The general HTTP server serves a request of the edge.
   *  @param reason The reason why the fast lane does not. */
  generalRequest(reason: string): void
  /** A connection was closed because its peer sent no valid PROXY header. */
  proxyHeaderRefused(): void
  loginDone(appId: string, outcome: LoginOutcome): void
  refreshDone(outcome: RefreshOutcome): void
  securityEvent(kind: SecurityEvent): void
  pushDone(appId: string, result: PushResult): void
  pushDepth(appId: string, depth: QueueDepth): void
  payCalled(appId: string, result: PayResult): void
  payNoticeDone(appId: string, result: PushResult): void
  /** A notice was not signed by the pay API, or not for this app. */
  payNoticeRefused(appId: string): void
  payDepth(appId: string, depth: QueueDepth): void
  /** A backend's call to WeChat's API ended.
   *  @param errcode Of WeChat's answer; null for none. */
  wxapiDone(appId: string, caller: string, result: WxapiResult, errcode: number | null): void
  /** @param operation As the store's port names it. */
  storeFailed(operation: string): void
  /** Counts a reload, accepted or rejected. */
  reloadDone(isSuccessful: boolean): void
  /** A listener uses these certificates. */
  certificatesUsed(listener: 'edge' | 'service', certificates: readonly MeasuredCertificate[]): void
  /** Starts the series of the apps and routes of a configuration at 0. */
  configured(config: KnownLabels): void
  counters(): Promise<Counters>
  /** Depths of the queues as last reported. */
  depths(): QueueDepths
  /** Prometheus text exposition format 0.0.4. */
  text(): Promise<string>
  /** Used to add up the metrics of several workers. */
  json(): Promise<unknown>
  readonly contentType: string
}

export interface KnownLabels {
  readonly apps: readonly { readonly appId: string; readonly push: object | null; readonly pay: object | null }[]
  readonly routes: readonly { readonly path: string }[]
  readonly service: { readonly tokens: readonly WxapiCaller[] }
}

export interface MetricsOptions extends MeasuredState {
  /** Names of the operations that may fail. */
  readonly storeOperations: readonly string[]
  /** Errcodes of WeChat that the metrics tell apart. */
  readonly errcodes: readonly number[]
  /** Statuses of the gateway that are not registered for HTTP. */
  readonly ownStatuses: readonly number[]
  readonly upstreams: () => MeasuredUpstreams
  /** Reasons for which the fast lane hands a request over. */
  readonly laneReasons: readonly string[]
  /** Exports the metrics to a collector. */
  readonly otlp?: { useRegistry(registry: Registry): void } | null
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry()
  addProcessMetrics(registry)
  const requests = createRequestHistogram(options.ownStatuses)
  registry.registerMetric(requests.metric)
  requests.init(NO_ROUTE)
  const events = createEventCounters(registry, options.storeOperations)
  const push = createQueueMetrics(registry, 'push', 'Events of message push')
  const pay = createQueueMetrics(registry, 'pay', 'Notices of the pay API')
  const payCalls = createPayCalls(registry)
  const wxapi = createWxapiMetrics(registry, options.errcodes)
  const lanes = createLaneMetrics(registry, options.laneReasons)
  const lastReload = { isSuccessful: true, at: Date.now() }
  addStateMetrics(registry, options, lastReload)
  const certificatesUsed = createCertificateMetric(registry)
  addUpstreamMetrics(registry, options.upstreams)
  options.otlp?.useRegistry(registry)

  return {
    finished: ({ route, status, ms }) => requests.observe(route?.path ?? NO_ROUTE, status, ms / 1000),
    parseErrorAnswered: (status) => requests.observe(NO_ROUTE, status, 0),
    ...lanes,
    ...createChannelMetrics(registry),
    loginDone: (app, result) => events.logins.inc({ app, result }),
    refreshDone: (result) => events.refreshes.inc({ result }),
    securityEvent: (kind) => events.security.inc({ kind }),
    pushDone: (app, result) => push.events.inc({ app, result }),
    pushDepth: push.setDepth,
    payCalled: (app, result) => payCalls.inc({ app, result }),
    payNoticeDone: (app, result) => pay.events.inc({ app, result }),
    payNoticeRefused: (app) => pay.events.inc({ app, result: 'refused' }),
    payDepth: pay.setDepth,
    wxapiDone: wxapi.done,
    storeFailed: (operation) => events.storeErrors.inc({ operation }),
    reloadDone(isSuccessful) {
      lastReload.isSuccessful = isSuccessful
      lastReload.at = Date.now()
    },
    certificatesUsed,
    configured({ apps, routes, service }) {
      wxapi.configured(apps, service.tokens)
      for (const { path } of routes) requests.init(path)
      for (const { appId: app, push: hasPush, pay: hasPay } of apps) {
        for (const result of ['ok', ...LOGIN_ERRORS]) events.logins.inc({ app, result }, 0)
        if (hasPush) push.init(app, PUSH_RESULTS)
        if (hasPay) pay.init(app, NOTICE_RESULTS)
        for (const result of hasPay ? PAY_RESULTS : []) payCalls.inc({ app, result }, 0)
      }
    },
    counters: async () => ({
      logins: await samplesOf(events.logins),
      wxapiCalls: await samplesOf(wxapi.calls),
      errcodes: await samplesOf(wxapi.refusals),
      pushEvents: await samplesOf(push.events),
      payEvents: await samplesOf(pay.events),
      storeErrors: await samplesOf(events.storeErrors),
      requests: requests.measured(),
      bounds: requests.bounds
    }),
    depths: () => ({ push: push.depths, pay: pay.depths }),
    text: () => registry.metrics(),
    json: () => registry.getMetricsAsJSON(),
    contentType: registry.contentType
  }
}

function createEventCounters(registry: Registry, storeOperations: readonly string[]) {
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[]) =>
    new Counter({ name, help, labelNames, registers: [registry] })
  const logins = counter('wxgate_logins_total', 'Logins by app and result', ['app', 'result'])
  const refreshes = counter('wxgate_refreshes_total', 'Refreshes by result', ['result'])
  const security = counter('wxgate_security_events_total', 'Security events by kind', ['kind'])
  const storeErrors = counter('wxgate_store_errors_total', 'Operations that the store failed, by operation', [
    'operation'
  ])
  for (const result of REFRESH_RESULTS) refreshes.inc({ result }, 0)
  for (const kind of SECURITY_EVENTS) security.inc({ kind }, 0)
  for (const operation of storeOperations) storeErrors.inc({ operation }, 0)
  return { logins, refreshes, security, storeErrors }
}

function createPayCalls(registry: Registry) {
  const help = 'Calls of the pay API by app and result'
  return new Counter({ name: 'wxgate_pay_calls_total', help, labelNames: ['app', 'result'], registers: [registry] })
}
