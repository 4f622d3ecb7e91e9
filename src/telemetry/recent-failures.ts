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

export interface RecentFailure {
  /** Grows with every entry of this process. */
  readonly id: number
  readonly kind: 'refused' | 'failed'
  /** Milliseconds since the epoch. */
  readonly at: number
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
  /** The newest first, with an id below `before`. */
  list(filter: { readonly before: number; readonly kind: RecentFailure['kind'] | null; count: number }): RecentFailure[]
  find(id: number): RecentFailure | null
  /** Id of the newest entry; 0 without one. */
  readonly newest: number
}

/** Entries of each kind. */
const ROOM = 200
const LONGEST_PATH = 300

/** @param now Milliseconds since the epoch. */
export function createRecentFailures(now: () => number): RecentFailures {
  const rings: Record<RecentFailure['kind'], RecentFailure[]> = { refused: [], failed: [] }
  let newest = 0

  function add(request: ObservedRequest, kind: RecentFailure['kind']): void {
    const { route, principal, reason, target } = request
    const colon = reason.indexOf(':')
    const ring = rings[kind]
    const entry: RecentFailure = {
      id: ++newest,
      kind,
      at: now(),
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
        .filter(({ id }) => id < before)
        .sort((a, b) => b.id - a.id)
        .slice(0, count)
    },
    find: (id) => [...latest('refused'), ...latest('failed')].find((entry) => entry.id === id) ?? null,
    get newest() {
      return newest
    }
  }
}
