/** GET /v1/status: the state of this process, its configuration and everything behind it. */
import type { FastifyInstance } from 'fastify'
import type { AppConfig, GatewayConfig } from '../../config/config.ts'
import { withProblems } from '../../http/endpoints/openapi.ts'
import type { PlatformCertificateState } from '../../platforms/pay-port.ts'
import type { ApiTokenState } from '../../platforms/port.ts'
import type { CalledPath } from '../../platforms/quota-port.ts'
import { type Static, Type } from '../../schema.ts'
import { type Counters, type QueueDepths, sumBy } from '../../telemetry/counters.ts'
import type { MeasuredUpstreams } from '../../telemetry/upstream-metrics.ts'
import { App, describeApp } from './apps.ts'
import { Certificate, describeCertificates } from './certificates.ts'
import { Configuration, type ConfigurationHistory, describeConfiguration } from './configuration.ts'
import { describeQueues, Queue } from './queues.ts'
import { countRequests, createRequestCounts } from './request-counts.ts'
import { describeRoute, RequestCounts, Route } from './routes.ts'
import { Count, closed, Flag, orNull, Text, Time, timeOf, word } from './terms.ts'
import { describeUpstreams, Upstream } from './upstreams.ts'

const Listener = closed(
  {
    name: word(['edge', 'redirect', 'service'], 'The public edge, its port that redirects to https, or this listener.'),
    host: Text,
    port: Count,
    is_tls: Flag
  },
  'An address on which the process listens.'
)

const StoreStatus = closed(
  {
    kind: word(['memory', 'sqlite', 'redis'], 'As in gateway.yaml.'),
    is_trusted: Type.Boolean({ description: 'False: requests that need a login are refused.' }),
    is_writable: Type.Boolean({ description: 'False: the last write failed less than ten seconds ago.' }),
    feed_age_seconds: orNull(
      Type.Number({ minimum: 0 }),
      'Since the revocation feed was read to its end; null: never.'
    ),
    errors: Type.Record(Type.String(), Count, { description: 'Failed operations by name, since the start.' })
  },
  'The session store.'
)

const Answer = closed(
  {
    version: Text,
    node: Type.String({ description: 'Version of Node.js.' }),
    pid: Count,
    is_worker: Type.Boolean({ description: 'True: one of several processes; counts are those of this one.' }),
    time: Time,
    started_at: Time,
    uptime_seconds: Type.Number({ minimum: 0 }),
    readiness: word(['ok', 'starting', 'draining', 'degraded'], 'As at /readyz.'),
    has_sandbox: Type.Boolean({ description: 'The sandbox stands in for WeChat.' }),
    configuration: Configuration,
    listeners: Type.Array(Listener),
    requests: RequestCounts,
    routes: Type.Array(Route, { description: 'In the order of the file.' }),
    upstreams: Type.Array(Upstream),
    apps: Type.Array(App),
    store: StoreStatus,
    revocations: Type.Integer({ minimum: 0, description: 'Ended sessions and users held in memory.' }),
    queues: Type.Array(Queue),
    certificates: Type.Array(Certificate)
  },
  'The status of this process. No member holds a credential.'
)

export type StatusAnswer = Static<typeof Answer>

/** The state in force at the moment of a call. */
export interface StatusDeps {
  readonly status: {
    readonly version: string
    readonly isWorker: boolean
    /** Milliseconds since the epoch. */
    readonly startedAt: number
    now(): number
    config(): GatewayConfig
    history(): ConfigurationHistory
    /** Place of a route in the file, by its index. */
    placeOf(index: number): string | null
    listeners(): readonly Static<typeof Listener>[]
    readiness(): StatusAnswer['readiness']
    counters(): Promise<Counters>
    depths(): QueueDepths
    upstreams(): MeasuredUpstreams
    /** By name, as `members.states()` reports them. */
    upstreamStates(): Readonly<Record<string, string>>
    /** By appid, of the check of the AppSecret. */
    credentials(): Readonly<Record<string, string>>
    apiToken(appId: string): ApiTokenState
    calledPaths(appId: string): readonly CalledPath[]
    /** Certificates of the pay API that the gateway fetched for the app. */
    payCertificates(app: AppConfig): readonly PlatformCertificateState[]
    store(): Omit<StatusAnswer['store'], 'errors' | 'kind'>
    revocations(): number
  }
}

export function addStatus(app: FastifyInstance, { status }: StatusDeps): void {
  const schema = {
    operationId: 'getStatus',
    summary: 'The status of the gateway',
    description: 'Configuration in force, listeners, routes, targets, apps, store, queues and certificates.',
    tags: ['admin'],
    response: withProblems({ 200: Answer }, [])
  }
  app.get('/status', { schema }, async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return describe(status)
  })
}

async function describe(status: StatusDeps['status']): Promise<StatusAnswer> {
  const [config, now, counters, history] = [status.config(), status.now(), await status.counters(), status.history()]
  const counts = createRequestCounts(counters)
  const credentials = status.credentials()
  return {
    version: status.version,
    node: process.version,
    pid: process.pid,
    is_worker: status.isWorker,
    time: timeOf(now),
    started_at: timeOf(status.startedAt),
    uptime_seconds: Math.max(0, Math.round((now - status.startedAt) / 1000)),
    readiness: status.readiness(),
    has_sandbox: config.wechat.apiBase === 'sandbox',
    configuration: describeConfiguration(config, history),
    listeners: [...status.listeners()],
    requests: countRequests(counters.requests, counters.bounds),
    routes: config.routes.map((route, index) => describeRoute(route, status.placeOf(index), counts.of(route.path))),
    upstreams: describeUpstreams(status.upstreams(), status.upstreamStates(), config.upstreams),
    apps: config.apps.map((app) =>
      describeApp(app, {
        credentials: credentials[app.appId],
        token: status.apiToken(app.appId),
        paths: status.calledPaths(app.appId),
        counts: {
          logins: sumBy(counters.logins, 'result', { app: app.appId }),
          wxapi_calls: sumBy(counters.wxapiCalls, 'result', { app: app.appId }),
          errcodes: sumBy(counters.errcodes, 'errcode', { app: app.appId })
        }
      })
    ),
    store: { kind: kindOf(config.store), ...status.store(), errors: sumBy(counters.storeErrors, 'operation') },
    revocations: status.revocations(),
    queues: describeQueues(config.apps, status.depths(), counters),
    certificates: describeCertificates(config, status.payCertificates, now)
  }
}

function kindOf(store: string): StatusAnswer['store']['kind'] {
  if (store.startsWith('sqlite:')) return 'sqlite'
  return store.startsWith('memory') ? 'memory' : 'redis'
}
