/** Parts of the gateway that survive every reload. */
import type { LookupFunction } from 'node:net'
import type { Clock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { HAND_OVER_REASONS } from '../fast-lane/hand-over.ts'
import { type ByteBudget, createByteBudget } from '../http/body/byte-budget.ts'
import { createGuard, type Guard } from '../http/guard.ts'
import { createLifecycle, isReady, type Lifecycle } from '../http/lifecycle.ts'
import { CLIENT_CLOSED_REQUEST, type RecordObserver } from '../http/record.ts'
import { NO_TRACER, type Tracer } from '../http/tracer.ts'
import type { Tracing } from '../http/tracing.ts'
import { createUnverifiedQueue, type UnverifiedQueue } from '../http/unverified-queue.ts'
import { createRevocations, type Revocations } from '../identity/revocations.ts'
import { KNOWN_ERRCODES } from '../platforms/wechat/errcodes.ts'
import { judgeApp, type ProbeOptions } from '../platforms/wechat/probe.ts'
import { createLiveConnections, type LiveConnections } from '../proxy/live-connections.ts'
import type { Store } from '../store/port.ts'
import { type StoreWatch, watchStore } from '../store/watch.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import { groupMetricsText } from '../telemetry/group-metrics.ts'
import type { Log } from '../telemetry/log.ts'
import { createMetrics, type Metrics } from '../telemetry/metrics.ts'
import type { Otlp } from '../telemetry/otlp/otlp.ts'
import { createMembers, type Members } from '../upstream/members.ts'
import { createPools, type Pools } from '../upstream/pools.ts'
import { createLookup } from '../upstream/resolver.ts'
import { type AppChecks, createAppChecks } from './app-checks.ts'
import { type ConfigFile, type ConfigHistory, createConfigHistory } from './config-history.ts'
import type { GroupLink } from './group.ts'
import { type Borrower, createLender } from './lender.ts'
import { createStatusParts, type StatusParts } from './status-parts.ts'

export interface GatewayDependencies {
  /** Default: the hosts file and the name servers of the machine. */
  readonly lookup?: LookupFunction
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly accessLog: AccessLog
  /** Lines that the log has lost since the start. */
  readonly lostLogLines?: () => number
  /** Exports to an OpenTelemetry collector; null or absent for none. */
  readonly otlp?: Otlp | null
  /** Of this gateway, for its metrics. */
  readonly version: string
  /** Origin and base path of api.weixin.qq.com: `wechat.apiBase`, or the sandbox's URL. */
  readonly wechatUrl: string
  /** True for one of several processes on the same ports. */
  readonly isWorker?: boolean
  /** In a worker: reaches the other workers. */
  readonly groupLink?: GroupLink
  /** True: asks WeChat about the credentials of each app. */
  readonly checksApps?: boolean
  /** Absent for a configuration without a file. */
  readonly source?: ConfigFile
}

/** Of all calls to WeChat together. */
export const MAX_HELD_BYTES = 128 * 1024 * 1024

export interface Shared extends GatewayDependencies, StatusParts {
  readonly history: ConfigHistory
  /** In a worker: the metrics of all workers as one text; null when they do not answer. */
  readonly groupMetrics: (() => Promise<string | null>) | null
  /** Counts failures; see {@link StoreWatch}. */
  readonly store: Store
  readonly storeWatch: StoreWatch
  readonly lifecycle: Lifecycle
  readonly revocations: Revocations
  readonly metrics: Metrics
  readonly guard: Guard
  readonly unverified: UnverifiedQueue
  /** Writes the log line and metrics of every request of the edge. */
  readonly observer: RecordObserver
  /** Resolves the names of upstreams and of WeChat. */
  readonly lookup: LookupFunction
  /** WebSockets and event streams. */
  readonly live: LiveConnections
  /** Connections to upstreams. */
  readonly pools: Pools
  /** Health, breakers and counts of their targets. */
  readonly members: Members
  readonly appChecks: AppChecks
  /** Lets the work begin that would delay the start. */
  startDone(): void
  /** From now on app checks reach WeChat as this configuration says. */
  probeWith(config: GatewayConfig): void
  /** Limit of the bodies that the egress and channel routes hold in memory. */
  readonly heldBodies: ByteBudget
  readonly lender: { open(): Borrower }
  /** Null without a collector. */
  readonly tracing: Tracing | null
  readonly tracer: Tracer
}

export function createShared(
  config: GatewayConfig,
  dependencies: GatewayDependencies,
  tracing: Tracing | null = null
): Shared {
  const { clock, log, accessLog } = dependencies
  const { accessTtl } = config.tokens
  const storeWatch = watchStore(dependencies.store, {
    clock,
    onFailure: (operation) => metrics.storeFailed(operation)
  })
  const { store } = storeWatch
  const revocations = createRevocations({ store, clock, log, accessTtl, grace: config.sessions.storeGrace })
  const members = createMembers({ clock, log })
  const lifecycle = createLifecycle()
  const metrics = createMetrics({
    upstreams: () => members.snapshot(),
    version: dependencies.version,
    storeOperations: storeWatch.operations,
    ownStatuses: [CLIENT_CLOSED_REQUEST],
    errcodes: KNOWN_ERRCODES,
    laneReasons: HAND_OVER_REASONS,
    otlp: dependencies.otlp ?? null,
    isReady: () => isReady({ lifecycle, revocations }),
    appStates: () => appChecks.states(),
    lostLogLines: dependencies.lostLogLines ?? (() => 0),
    feedAge: () => revocations.age() / 1000,
    isStoreTrusted: () => revocations.isTrusted,
    revocations: () => revocations.size
  })
  metrics.configured(config)
  const history = createConfigHistory({ clock, source: dependencies.source ?? null, onReload: metrics.reloadDone })
  const guard = createGuard(log)
  const lookup = dependencies.lookup ?? createLookup({ clock })
  const optionsOf = ({ wechat: { timeout: timeoutMs, fallbackBase, proxy } }: GatewayConfig): ProbeOptions => {
    return { apiBase: dependencies.wechatUrl, fallbackBase, proxy, timeoutMs, now: clock.now, lookup }
  }
  let probe = optionsOf(config)
  const startDone = Promise.withResolvers<void>()
  const appChecks = createAppChecks({
    probe: dependencies.checksApps ? (app) => startDone.promise.then(() => judgeApp(probe, app)) : null,
    clock,
    log
  })
  const { version, groupLink: link = null } = dependencies
  const watched = { lifecycle, revocations, storeWatch, metrics, members, appChecks, history }
  const statusParts = createStatusParts({ version, link, clock, log, ...watched })
  const observers: readonly RecordObserver[] = [accessLog, metrics, statusParts.recentFailures]
  return {
    ...dependencies,
    store,
    storeWatch,
    ...statusParts,
    groupMetrics: link && (() => readGroupMetrics(link)),
    history,
    lifecycle,
    revocations,
    metrics,
    guard,
    unverified: createUnverifiedQueue(guard),
    observer: {
      finished(record) {
        for (const observer of observers) observer.finished(record)
      }
    },
    lookup,
    live: createLiveConnections({ clock, revocations, guard }),
    pools: createPools({ lookup, clock }),
    members,
    appChecks,
    startDone: startDone.resolve,
    probeWith(next) {
      probe = optionsOf(next)
    },
    heldBodies: createByteBudget(MAX_HELD_BYTES),
    lender: createLender(),
    tracing,
    tracer: tracing?.tracer ?? NO_TRACER
  }
}

async function readGroupMetrics(link: GroupLink): Promise<string | null> {
  const told = await link.ask({ topic: 'metrics' })
  return told && groupMetricsText(told.answers, told.running)
}
