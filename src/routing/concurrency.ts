/** The number of requests and WebSockets under way on a route. */
import { ApiError } from '../errors.ts'

/** Outlives a reload. */
export interface RouteLoad {
  readonly running: number
  enter(): void
  /** The same function for every request: a closure per request would outlive it. */
  readonly leave: () => void
}

export interface ConcurrencyLimit {
  /** Counts the request until its end; an error when too many are under way.
   *  @param onceEnded Calls its argument at the end. */
  enter(onceEnded: (leave: () => void) => void): ApiError | null
}

const FULL = new ApiError('overloaded', 'This route has reached its limit of concurrent requests. Try again shortly.')

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
    enter(onceEnded) {
      if (load.running >= max) return FULL
      load.enter()
      onceEnded(load.leave)
      return null
    }
  }
}
