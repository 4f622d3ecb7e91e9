/** Work for those who have not shown yet who they are: a few of them are served at a time, so that a flood of bad tokens
 *  is felt by those who send it, and hardly by those whose tokens are known. */
import type { ServerResponse } from 'node:http'

/** How many are served in one turn of the event loop. The next turn begins with what has arrived meanwhile. */
const PER_TURN = 4
/** Beyond this many waiting nobody is put off any further: all are late as it is. */
const LONGEST = 4_096
/** So many places of those who were served are given back at once. */
const COMPACT_AFTER = 1_024
/** For the access log: whose turn had not come. */
export const CLIENT_LEFT = 'client_left'

export interface StrangerQueue {
  /** Calls `serve` at once while there are few, else in order of arrival. Not at all when the client has left by then.
   *  `serve` must not throw. */
  add(res: ServerResponse, serve: () => void): void
}

export function createStrangerQueue(): StrangerQueue {
  /** Null where one was served: what a request is made of must not be kept alive by its place in the queue. */
  const waiting: ({ readonly res: ServerResponse; readonly serve: () => void } | null)[] = []
  /** Everything before it has been served. */
  let next = 0
  let servedThisTurn = 0
  let isTurnWatched = false

  function onTurn(): void {
    isTurnWatched = false
    servedThisTurn = 0
    while (next < waiting.length && servedThisTurn < PER_TURN) {
      const stranger = waiting[next]
      waiting[next++] = null
      if (!stranger || stranger.res.destroyed) continue
      servedThisTurn++
      stranger.serve()
    }
    if (next === waiting.length) {
      waiting.length = 0
      next = 0
    } else if (next >= COMPACT_AFTER) {
      waiting.splice(0, next)
      next = 0
    }
    if (waiting.length > 0 || servedThisTurn > 0) watchTurn()
  }

  function watchTurn(): void {
    if (isTurnWatched) return
    isTurnWatched = true
    setImmediate(onTurn)
  }

  return {
    add(res, serve) {
      watchTurn()
      const isFull = waiting.length - next >= LONGEST
      if (isFull || (waiting.length === 0 && servedThisTurn < PER_TURN)) {
        servedThisTurn++
        serve()
      } else {
        waiting.push({ res, serve })
      }
    }
  }
}
