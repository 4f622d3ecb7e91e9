/** The latest refusals and failures, in memory. Two rings: a flood of refusals does not push out a
 *  failure of the gateway or of an upstream. No query, header or token. */
import { flatCopy } from '../flat-text.ts'

/** A finished request. */
export interface ObservedRequest {
  readonly requestId: string
  readonly method: string
  readonly path: string
  readonly clientAddress: string
  readonly route: { readonly path: string; readonly upstream: string } | null
  readonly principal: { readonly appId: string; readonly userId: string } | null
  /** A code, or a code, a ":" and its cause. */
  readonly reason: string
  readonly isGranted: boolean
  readonly target: string
  readonly tries: number
  readonly status: number
  readonly ms: number
}

/** Names an entry among those of several processes. */
export interface FailureId {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly pid: number
  /** Grows with every entry of the process. */
  readonly number: number
}

export interface RecentFailure extends FailureId {
  readonly kind: 'refused' | 'failed'
  readonly method: string
  readonly path: string
  /** Path as in the file; null for none. */
  readonly route: string | null
  readonly status: number
  readonly reason: string
  readonly cause: string | null
  readonly ms: number
  readonly upstream: string | null
  /** host:port of the last target tried. */
  readonly target: string | null
  readonly tries: number
  readonly clientAddress: string
  readonly appId: string | null
  readonly userId: string | null
  readonly requestId: string
}

export interface RecentFailures {
  finished(request: ObservedRequest): void
  /** The newest first. */
  list(filter: FailureFilter): RecentFailure[]
  find(id: FailureId): RecentFailure | null
  /** Null without an entry. */
  readonly newest: FailureId | null
}

export interface FailureFilter {
  /** Older than this one; null for all. */
  readonly before: FailureId | null
  readonly kind: RecentFailure['kind'] | null
  readonly count: number
}

/** The order of a list: the newest first. */
export function compareFailures(one: FailureId, other: FailureId): number {
  return other.at - one.at || other.pid - one.pid || other.number - one.number
}

/** Entries of each kind. */
const ROOM = 200
const LONGEST_PATH = 300

/** @param now Milliseconds since the epoch. */
export function createRecentFailures(now: () => number): RecentFailures {
  const rings: Record<RecentFailure['kind'], RecentFailure[]> = { refused: [], failed: [] }
  const { pid } = process
  let number = 0
  let newest: FailureId | null = null

  function add(request: ObservedRequest, kind: RecentFailure['kind']): void {
    const { route, principal, reason, target } = request
    const colon = reason.indexOf(':')
    const ring = rings[kind]
    const entry: RecentFailure = {
      at: now(),
      pid,
      number: ++number,
      kind,
      method: request.method,
      path: flatCopy(request.path.slice(0, LONGEST_PATH)),
      route: route === null ? null : route.path,
      status: request.status,
      reason: colon < 0 ? reason : reason.slice(0, colon),
      cause: colon < 0 ? null : reason.slice(colon + 1),
      ms: request.ms,
      upstream: route === null ? null : route.upstream,
      target: target === '' ? null : target,
      tries: request.tries,
      clientAddress: flatCopy(request.clientAddress),
      appId: principal === null ? null : principal.appId,
      userId: principal === null ? null : principal.userId,
      requestId: flatCopy(request.requestId)
    }
    newest = entry
    ring.push(entry)
    // Twice the room, then half is dropped: cheaper than a shift with each entry.
    if (ring.length >= 2 * ROOM) ring.splice(0, ring.length - ROOM)
  }

  const latest = (kind: RecentFailure['kind']) => rings[kind].slice(-ROOM)

  return {
    finished(request) {
      if (request.status >= 500 || request.reason.startsWith('upstream_')) add(request, 'failed')
      else if (!request.isGranted) add(request, 'refused')
    },
    list({ before, kind, count }) {
      const all = kind === null ? [...latest('refused'), ...latest('failed')] : latest(kind)
      return all
        .filter((entry) => before === null || compareFailures(before, entry) < 0)
        .sort(compareFailures)
        .slice(0, count)
    },
    find: (id) => [...latest('refused'), ...latest('failed')].find((entry) => compareFailures(entry, id) === 0) ?? null,
    get newest() {
      return newest
    }
  }
}
