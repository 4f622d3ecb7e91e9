/** The number of requests and WebSockets under way on a route. */
import type { EventEmitter } from 'node:events'
import { ApiError } from '../errors.ts'

/** Outlives a reload. */
export interface RouteLoad {
  readonly running: number
  enter(): void
  /** The same function for every request: a closure per request would outlive it. */
  readonly leave: () => void
}

export interface ConcurrencyLimit {
  /** Counts the request until its client's side is closed; an error when too many are under way.
   *  @param client The response, or the socket of a WebSocket, not closed yet. */
  enter(client: EventEmitter): ApiError | null
}

const FULL = new ApiError('overloaded', 'This route has as many requests under way as it may. Try again shortly.')

export function createRouteLoad(): RouteLoad {
  let running = 0
  return {
    get running() {
      return running
    },
    enter() {
      running++
    },
    leave() {
      running--
    }
  }
}

export function createConcurrencyLimit(max: number, load: RouteLoad): ConcurrencyLimit {
  return {
    enter(client) {
      if (load.running >= max) return FULL
      load.enter()
      client.once('close', load.leave)
      return null
    }
  }
}
