/** Divides the limit of open files: clients of the edge must leave descriptors for upstreams, the
 *  store, health checks and the service listener. */
import { readFileSync } from 'node:fs'

export interface ConnectionRoom {
  /** Client connections that are served. */
  readonly served: number
  /** Further ones, whose requests are answered with 503. Beyond them a connection gets 503 before
   *  its request, and is closed. */
  readonly refused: number
}

const MIN_RESERVE = 96
const MAX_RESERVE = 1024

/** @param limit Open files that the process may have. */
export function divideDescriptors(limit: number): ConnectionRoom {
  const reserve = Math.min(MAX_RESERVE, Math.max(MIN_RESERVE, Math.floor(limit / 8)))
  // A request holds one connection of a client and one to an upstream.
  const served = Math.max(1, Math.floor((limit - reserve) / 2))
  return { served, refused: Math.floor(reserve / 2) }
}

/** Infinity where the system does not tell. Node raises the soft limit to the hard one. */
export function descriptorLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? []
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
