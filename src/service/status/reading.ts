/** The state of one process for GET /v1/status, and the state of several as one. */

import type { PlatformCertificateState } from '../../platforms/pay-port.ts'
import type { ApiTokenState } from '../../platforms/port.ts'
import type { CalledPath } from '../../platforms/quota-port.ts'
import type { Counters, QueueDepth, QueueDepths } from '../../telemetry/counters.ts'
import type { MeasuredUpstreams } from '../../telemetry/upstream-metrics.ts'
import { mergeUpstreams } from './merged-upstreams.ts'

export type Readiness = 'ok' | 'starting' | 'draining' | 'degraded'

export interface AppReading {
  readonly token: ApiTokenState
  readonly paths: readonly CalledPath[]
  /** Certificates of the pay API that the process fetched. */
  readonly payCertificates: readonly PlatformCertificateState[]
}

export interface ProcessReading {
  readonly pid: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly readiness: Readiness
  readonly counters: Counters
  readonly depths: QueueDepths
  readonly upstreams: MeasuredUpstreams
  /** By name, as `members.states()` reports them. */
  readonly upstreamStates: Readonly<Record<string, string>>
  /** By appid, of the check of the AppSecret. */
  readonly credentials: Readonly<Record<string, string>>
  /** By appid. */
  readonly apps: Readonly<Record<string, AppReading>>
  readonly store: {
    readonly is_trusted: boolean
    readonly is_writable: boolean
    readonly feed_age_seconds: number | null
  }
  readonly revocations: number
}

/** The worst first. */
const READINESS = ['draining', 'starting', 'degraded', 'ok'] as const
const UPSTREAM_STATES = ['away', 'degraded', 'ok']
/** A check that is pending in one process says less than the result of another. */
const CREDENTIALS = ['refused', 'unknown', 'ok', 'pending']

/** Adds counts up. Of a state, the worst counts.
 *  @param readings At least one. */
export function mergeReadings(readings: readonly ProcessReading[]): Omit<ProcessReading, 'pid'> {
  const ages = readings.map(({ store }) => store.feed_age_seconds)
  return {
    startedAt: Math.min(...readings.map(({ startedAt }) => startedAt)),
    readiness: READINESS.find((state) => readings.some(({ readiness }) => readiness === state)) ?? 'ok',
    counters: mergeCounters(readings.map(({ counters }) => counters)),
    depths: { push: mergeDepths(readings, 'push'), pay: mergeDepths(readings, 'pay') },
    upstreams: mergeUpstreams(readings.map(({ upstreams }) => upstreams)),
    upstreamStates: mergeStates(
      readings.map(({ upstreamStates }) => upstreamStates),
      UPSTREAM_STATES
    ),
    credentials: mergeStates(
      readings.map(({ credentials }) => credentials),
      CREDENTIALS
    ),
    apps: mergeApps(readings.map(({ apps }) => apps)),
    store: {
      is_trusted: readings.every(({ store }) => store.is_trusted),
      is_writable: readings.every(({ store }) => store.is_writable),
      feed_age_seconds: ages.includes(null) ? null : Math.max(...ages.map((age) => age ?? 0))
    },
    revocations: Math.max(...readings.map(({ revocations }) => revocations))
  }
}

/** Sums are taken over all samples, so lists of several processes are one after the other. */
function mergeCounters(all: readonly Counters[]): Counters {
  return {
    logins: all.flatMap(({ logins }) => logins),
    wxapiCalls: all.flatMap(({ wxapiCalls }) => wxapiCalls),
    errcodes: all.flatMap(({ errcodes }) => errcodes),
    pushEvents: all.flatMap(({ pushEvents }) => pushEvents),
    payEvents: all.flatMap(({ payEvents }) => payEvents),
    storeErrors: all.flatMap(({ storeErrors }) => storeErrors),
    requests: all.flatMap(({ requests }) => requests),
    bounds: all[0]?.bounds ?? []
  }
}

/** Every process reports the depth of the shared store. */
function mergeDepths(readings: readonly ProcessReading[], kind: keyof QueueDepths): ReadonlyMap<string, QueueDepth> {
  const merged = new Map<string, QueueDepth>()
  for (const { depths } of readings) {
    for (const [appId, { waiting, bytes, dead }] of depths[kind]) {
      const before = merged.get(appId) ?? { waiting: 0, bytes: 0, dead: 0 }
      merged.set(appId, {
        waiting: Math.max(before.waiting, waiting),
        bytes: Math.max(before.bytes, bytes),
        dead: Math.max(before.dead, dead)
      })
    }
  }
  return merged
}

/** @param order The state that counts most comes first. */
function mergeStates(all: readonly Readonly<Record<string, string>>[], order: readonly string[]) {
  const rank = (state: string) => order.indexOf(state)
  const merged: Record<string, string> = {}
  for (const [name, state] of all.flatMap(Object.entries<string>)) {
    const before = merged[name]
    if (before === undefined || rank(state) < rank(before)) merged[name] = state
  }
  return merged
}

function mergeApps(all: readonly ProcessReading['apps'][]): ProcessReading['apps'] {
  const merged: Record<string, AppReading> = {}
  for (const [appId, { token, paths, payCertificates }] of all.flatMap(Object.entries<AppReading>)) {
    const before = merged[appId]
    if (before === undefined) {
      merged[appId] = { token, paths, payCertificates }
      continue
    }
    const serials = new Set(before.payCertificates.map(({ serial }) => serial))
    merged[appId] = {
      token: newerToken(before.token, token),
      paths: mergePaths(before.paths, paths),
      payCertificates: [...before.payCertificates, ...payCertificates.filter(({ serial }) => !serials.has(serial))]
    }
  }
  return merged
}

function newerToken(one: ApiTokenState, other: ApiTokenState): ApiTokenState {
  if (one.state === 'held' && other.state === 'held') return (other.fetchedAt ?? 0) > (one.fetchedAt ?? 0) ? other : one
  if (one.state === 'held' || other.state === 'none') return one
  return other
}

function mergePaths(one: readonly CalledPath[], other: readonly CalledPath[]): readonly CalledPath[] {
  const merged = new Map(one.map((called) => [called.path, called]))
  for (const called of other) {
    const before = merged.get(called.path)
    if (before === undefined) merged.set(called.path, called)
    else {
      const isNewer = (called.quota?.readAt ?? 0) > (before.quota?.readAt ?? 0)
      const quota = isNewer ? called.quota : before.quota
      merged.set(called.path, { path: called.path, calls: before.calls + called.calls, quota })
    }
  }
  return [...merged.values()]
}
