/** The parts behind GET /v1/status and the console. They survive a reload and ask the generation in
 *  force. */
import type { Clock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { createConsoleLinks } from '../console/links.ts'
import { ApiError } from '../errors.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { Address } from '../http/listen.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { ExplainedRequest } from '../proxy/explain/explained-request.ts'
import type { Explanation } from '../proxy/explain/explanation.ts'
import type { StatusDeps } from '../service/status/status.ts'
import { createStatusStreams } from '../service/status/streams.ts'
import type { StoreWatch } from '../store/watch.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { createRecentFailures } from '../telemetry/recent-failures.ts'
import type { Members } from '../upstream/members.ts'
import type { AppChecks } from './app-checks.ts'
import type { ConfigHistory } from './config-history.ts'

/** The generation in force, as the status sees it. */
export interface InForce {
  readonly config: GatewayConfig
  readonly platforms: Pick<Platforms, 'of'>
  explain(request: ExplainedRequest): Explanation
}

export interface ListenerAddresses {
  readonly edge: Address
  /** Undefined for a gateway without this port. */
  readonly redirect?: Address
  readonly service: Address
}

export interface StatusPartsDeps {
  readonly version: string
  readonly isWorker: boolean
  readonly clock: Clock
  readonly log: Pick<Log, 'error'>
  readonly lifecycle: Lifecycle
  readonly revocations: Pick<Revocations, 'isTrusted' | 'age' | 'size'>
  readonly storeWatch: Pick<StoreWatch, 'isWritable'>
  readonly metrics: Pick<Metrics, 'counters' | 'depths'>
  readonly members: Pick<Members, 'snapshot' | 'states'>
  readonly appChecks: Pick<AppChecks, 'states'>
  readonly history: ConfigHistory
}

export type StatusParts = ReturnType<typeof createStatusParts>

const STARTING = new ApiError('overloaded', 'The gateway is starting. Try again shortly.')

export function createStatusParts(deps: StatusPartsDeps) {
  const { clock, lifecycle, metrics, members } = deps
  const recentFailures = createRecentFailures(clock.now)
  let inForce: InForce | null = null
  let listeners: ReturnType<StatusDeps['status']['listeners']> = []

  function current(): InForce {
    if (inForce === null) throw STARTING
    return inForce
  }

  const statusStreams = createStatusStreams({
    clock,
    log: deps.log,
    isDraining: () => lifecycle.isDraining,
    read: async () => ({
      counters: await metrics.counters(),
      targets: members.snapshot().targets,
      newestFailure: recentFailures.newest
    })
  })
  return {
    recentFailures,
    statusStreams,
    consoleLinks: createConsoleLinks(clock),
    /** Address of the edge for requests of this process itself; null before it listens. */
    edgeAddress: () => ownAddress(listeners.find(({ name }) => name === 'edge')),
    status: createStatus(deps, current, () => listeners),
    explain: (request: ExplainedRequest) => current().explain(request),
    /** Call it when a generation comes into force. */
    nowInForce(next: InForce): void {
      inForce = next
      statusStreams.endAll()
    },
    listening(addresses: ListenerAddresses): void {
      listeners = [
        { name: 'edge', ...addresses.edge, is_tls: current().config.server.tls !== null },
        ...(addresses.redirect ? [{ name: 'redirect' as const, ...addresses.redirect, is_tls: false }] : []),
        { name: 'service', ...addresses.service, is_tls: current().config.service.tls !== null }
      ]
    }
  }
}

function createStatus(
  deps: StatusPartsDeps,
  current: () => InForce,
  listeners: StatusDeps['status']['listeners']
): StatusDeps['status'] {
  const { clock, lifecycle, revocations, storeWatch, metrics, members, appChecks, history } = deps
  return {
    version: deps.version,
    isWorker: deps.isWorker,
    startedAt: clock.now(),
    now: clock.now,
    config: () => current().config,
    history: () => history,
    placeOf: history.placeOf,
    listeners,
    readiness() {
      if (lifecycle.isDraining) return 'draining'
      if (!lifecycle.isReady || !lifecycle.isGroupReady) return 'starting'
      return revocations.isTrusted ? 'ok' : 'degraded'
    },
    counters: metrics.counters,
    depths: metrics.depths,
    upstreams: members.snapshot,
    upstreamStates: members.states,
    credentials: appChecks.states,
    apiToken: (appId) => current().platforms.of(appId).apiToken(appId),
    calledPaths: (appId) => current().platforms.of(appId).quotas?.paths(appId) ?? [],
    payCertificates: ({ appId, pay }) =>
      pay === null ? [] : (current().platforms.of(appId).pay?.certificates(pay) ?? []),
    store() {
      const age = revocations.age()
      return {
        is_trusted: revocations.isTrusted,
        is_writable: storeWatch.isWritable(),
        feed_age_seconds: Number.isFinite(age) ? Math.round(age) / 1000 : null
      }
    },
    revocations: () => revocations.size
  }
}

function ownAddress(listener: Address | undefined): Address | null {
  if (listener === undefined) return null
  const { host, port } = listener
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port }
}
