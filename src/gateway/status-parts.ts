/** The parts behind GET /v1/status and the console. They survive a reload and ask the generation in
 *  force. */
import type { Clock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { createConsoleLinks } from '../console/links.ts'
import { ApiError } from '../errors.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { Address } from '../http/listen.ts'
import type { TlsFiles } from '../http/tls-files.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { ExplainedRequest } from '../proxy/explain/explained-request.ts'
import type { Explanation } from '../proxy/explain/explanation.ts'
import { type FailuresDeps, nameOf } from '../service/failures.ts'
import type { AppReading, ProcessReading } from '../service/status/reading.ts'
import { type ProcessSample, sampleOf } from '../service/status/sample.ts'
import type { StatusDeps } from '../service/status/status.ts'
import { createStatusStreams } from '../service/status/streams.ts'
import type { StoreWatch } from '../store/watch.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createRecentFailures } from '../telemetry/recent-failures.ts'
import type { Members } from '../upstream/members.ts'
import type { AppChecks } from './app-checks.ts'
import type { ConfigHistory } from './config-history.ts'
import { createGroup, type GroupLink } from './group.ts'

/** The generation in force, as the status sees it. */
export interface InForce {
  readonly config: GatewayConfig
  readonly platforms: Pick<Platforms, 'of'>
  explain(request: ExplainedRequest): Explanation
}

/** Null without TLS. */
export type ListenerTls = Readonly<Record<'edge' | 'service', Pick<TlsFiles, 'certificates'> | null>>

export interface ListenerAddresses {
  readonly edge: Address
  /** Undefined for a gateway without this port. */
  readonly redirect?: Address
  readonly service: Address
}

export interface StatusPartsDeps {
  readonly version: string
  /** Null for a process without workers. */
  readonly link: GroupLink | null
  readonly clock: Clock
  readonly log: Pick<Log, 'error'>
  readonly lifecycle: Lifecycle
  readonly revocations: Pick<Revocations, 'isTrusted' | 'age' | 'size'>
  readonly storeWatch: Pick<StoreWatch, 'isWritable'>
  readonly metrics: Pick<Metrics, 'counters' | 'depths' | 'json'>
  readonly members: Pick<Members, 'snapshot' | 'states'>
  readonly appChecks: Pick<AppChecks, 'states'>
  readonly history: ConfigHistory
}

interface ReadProcessDeps extends StatusPartsDeps {
  readonly startedAt: number
}

interface EdgeAddress extends Address {
  readonly is_tls: boolean
}

export type StatusParts = ReturnType<typeof createStatusParts>

const STARTING = new ApiError('overloaded', 'The gateway is starting. Try again shortly.')

export function createStatusParts(deps: StatusPartsDeps) {
  const { clock, lifecycle, metrics, members } = deps
  const recentFailures = createRecentFailures(clock.now)
  let inForce: InForce | null = null
  let listeners: ReturnType<StatusDeps['status']['listeners']> = []
  let tls: ListenerTls = { edge: null, service: null }
  const started = { ...deps, startedAt: clock.now() }

  function current(): InForce {
    if (inForce === null) throw STARTING
    return inForce
  }

  const ownStatus = () => readProcess(started, current())
  const ownSample = async (): Promise<ProcessSample> => {
    const { newest } = recentFailures
    return sampleOf({
      pid: process.pid,
      counters: await metrics.counters(),
      targets: members.snapshot().targets,
      newestFailure: newest && { at: newest.at, name: nameOf(newest) }
    })
  }
  const group = createGroup(
    {
      metrics: metrics.json,
      status: ownStatus,
      sample: ownSample,
      failures: async (filter) => recentFailures.list(filter),
      failure: async (id) => recentFailures.find(id)
    },
    deps.link
  )
  const failures: FailuresDeps['failures'] = {
    list: (filter) => group.ask('failures', filter),
    find: async (id) => (await group.ask('failure', id)).find((entry) => entry !== null) ?? null
  }
  const statusStreams = createStatusStreams({
    clock,
    log: deps.log,
    isDraining: () => lifecycle.isDraining,
    samples: () => group.ask('sample')
  })
  return {
    group,
    recentFailures,
    failures,
    statusStreams,
    consoleLinks: createConsoleLinks(clock),
    /** Address of the edge for requests of this process itself; null before it listens. */
    edgeAddress: () => ownAddress(listeners.find(({ name }) => name === 'edge')),
    status: {
      version: deps.version,
      now: clock.now,
      config: () => current().config,
      history: () => deps.history,
      placeOf: deps.history.placeOf,
      listeners: () => listeners,
      certificatesInUse: () => ({ server: chainsOf(tls.edge), service: chainsOf(tls.service) }),
      readings: () => group.ask('status')
    } satisfies StatusDeps['status'],
    explain: (request: ExplainedRequest) => current().explain(request),
    /** Call it when a generation comes into force. */
    nowInForce(next: InForce): void {
      inForce = next
      statusStreams.endAll()
    },
    listening(addresses: ListenerAddresses, used: ListenerTls): void {
      tls = used
      listeners = [
        { name: 'edge', ...addresses.edge, is_tls: used.edge !== null },
        ...(addresses.redirect ? [{ name: 'redirect' as const, ...addresses.redirect, is_tls: false }] : []),
        { name: 'service', ...addresses.service, is_tls: used.service !== null }
      ]
    }
  }
}

const chainsOf = (tls: ListenerTls['edge']) => tls?.certificates.map(({ chain }) => chain) ?? []

/** The state of this process. */
async function readProcess(deps: ReadProcessDeps, { config, platforms }: InForce): Promise<ProcessReading> {
  const { startedAt, lifecycle, revocations, storeWatch, metrics, members, appChecks } = deps
  const age = revocations.age()
  return {
    pid: process.pid,
    startedAt,
    readiness: readinessOf(lifecycle, revocations.isTrusted),
    counters: await metrics.counters(),
    depths: metrics.depths(),
    upstreams: members.snapshot(),
    upstreamStates: members.states(),
    credentials: appChecks.states(),
    apps: Object.fromEntries(config.apps.map((app) => [app.appId, readApp(app, platforms)])),
    store: {
      is_trusted: revocations.isTrusted,
      is_writable: storeWatch.isWritable(),
      feed_age_seconds: Number.isFinite(age) ? Math.round(age) / 1000 : null
    },
    revocations: revocations.size
  }
}

function readApp({ appId, pay }: GatewayConfig['apps'][number], platforms: InForce['platforms']): AppReading {
  const platform = platforms.of(appId)
  return {
    token: platform.apiToken(appId),
    paths: platform.quotas?.paths(appId) ?? [],
    payCertificates: pay === null ? [] : (platform.pay?.certificates(pay) ?? [])
  }
}

function readinessOf(lifecycle: Lifecycle, isTrusted: boolean): ProcessReading['readiness'] {
  if (lifecycle.isDraining) return 'draining'
  if (!lifecycle.isReady || !lifecycle.isGroupReady) return 'starting'
  return isTrusted ? 'ok' : 'degraded'
}

function ownAddress(listener: EdgeAddress | undefined): EdgeAddress | null {
  if (listener === undefined) return null
  const { host, port, is_tls } = listener
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port, is_tls }
}
