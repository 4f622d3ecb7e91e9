/** GET /v1/status: the state of the gateway, its configuration and everything behind it. */
import type { FastifyInstance } from 'fastify'
import type { AppConfig, GatewayConfig } from '../../config/config.ts'
import { withProblems } from '../../http/endpoints/openapi.ts'
import { type Static, Type } from '../../schema.ts'
import { sumBy } from '../../telemetry/counters.ts'
import { App, type AppFacts, describeApp } from './apps.ts'
import { Certificate, type CertificatesInUse, describeCertificates } from './certificates.ts'
import { Configuration, type ConfigurationHistory, describeConfiguration } from './configuration.ts'
import { describeQueues, Queue } from './queues.ts'
import { mergeReadings, type ProcessReading } from './reading.ts'
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

const Readiness = word(['ok', 'starting', 'draining', 'degraded'], 'As at /readyz.')

const Process = closed({ pid: Count, started_at: Time, readiness: Readiness }, 'A process of the gateway.')

const Answer = closed(
  {
    version: Text,
    node: Type.String({ description: 'Version of Node.js.' }),
    time: Time,
    started_at: Type.String({ description: 'Of the oldest process. ISO 8601, UTC.' }),
    uptime_seconds: Type.Number({ minimum: 0 }),
    readiness: Readiness,
    processes: Type.Array(Process, { description: 'One, or those of `server.workers` that answered within a second.' }),
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
  'The status of the gateway. With several workers, counts are sums, and of a state the worst is shown. No member holds a credential.'
)

export type StatusAnswer = Static<typeof Answer>

/** The state in force at the moment of a call. */
export interface StatusDeps {
  readonly status: {
    readonly version: string
    now(): number
    config(): GatewayConfig
    history(): ConfigurationHistory
    /** Place of a route in the file, by its index. */
    placeOf(index: number): string | null
    listeners(): readonly Static<typeof Listener>[]
    /** PEM of the certificates that the listeners use, one text for each pair of files. */
    certificatesInUse(): CertificatesInUse
    /** One of each process, at least one. */
    readings(): Promise<readonly ProcessReading[]>
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
    return describe(status, await status.readings())
  })
}

function describe(status: StatusDeps['status'], readings: readonly ProcessReading[]): StatusAnswer {
  const [config, now] = [status.config(), status.now()]
  const merged = mergeReadings(readings)
  const { counters, startedAt, store } = merged
  const counts = createRequestCounts(counters)
  const fetchedOf = ({ appId }: AppConfig) => merged.apps[appId]?.payCertificates ?? []
  return {
    version: status.version,
    node: process.version,
    time: timeOf(now),
    started_at: timeOf(startedAt),
    uptime_seconds: Math.max(0, Math.round((now - startedAt) / 1000)),
    readiness: merged.readiness,
    processes: readings
      .toSorted((one, other) => one.pid - other.pid)
      .map(({ pid, startedAt, readiness }) => ({ pid, started_at: timeOf(startedAt), readiness })),
    has_sandbox: config.wechat.apiBase === 'sandbox',
    configuration: describeConfiguration(config, status.history()),
    listeners: [...status.listeners()],
    requests: countRequests(counters.requests, counters.bounds),
    routes: config.routes.map((route, index) => describeRoute(route, status.placeOf(index), counts.of(route.path))),
    upstreams: describeUpstreams(merged.upstreams, merged.upstreamStates, config.upstreams),
    apps: config.apps.map((app) => describeApp(app, factsOf(app.appId, merged))),
    store: { kind: kindOf(config.store), ...store, errors: sumBy(counters.storeErrors, 'operation') },
    revocations: merged.revocations,
    queues: describeQueues(config.apps, merged.depths, counters),
    certificates: describeCertificates(config, { inUse: status.certificatesInUse(), fetchedOf }, now)
  }
}

const NO_TOKEN = { state: 'none', fetchedAt: null, expiresAt: null } as const

function factsOf(
  appId: string,
  { counters, credentials, apps }: Pick<ProcessReading, 'counters' | 'credentials' | 'apps'>
): AppFacts {
  return {
    credentials: credentials[appId],
    token: apps[appId]?.token ?? NO_TOKEN,
    paths: apps[appId]?.paths ?? [],
    counts: {
      logins: sumBy(counters.logins, 'result', { app: appId }),
      wxapi_calls: sumBy(counters.wxapiCalls, 'result', { app: appId }),
      errcodes: sumBy(counters.errcodes, 'errcode', { app: appId })
    }
  }
}

function kindOf(store: string): StatusAnswer['store']['kind'] {
  if (store.startsWith('sqlite:')) return 'sqlite'
  return store.startsWith('memory') ? 'memory' : 'redis'
}
