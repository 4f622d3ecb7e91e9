/** Queue for requests whose token is unverified: a few are served per turn of the event loop,
 *  so that a flood of bad tokens delays its senders and hardly any known token. */
import type { Guard, Waiting } from './guard.ts'

/** Requests served in one turn of the event loop. The next turn starts with the requests that
 *  arrived meanwhile. */
const PER_TURN = 4
/** Above this length the queue delays no request further. */
const LONGEST = 4_096
/** Served requests are removed in batches of this size. */
const COMPACT_AFTER = 1_024
/** Access log reason of a request whose client disconnected while it waited. */
export const CLIENT_LEFT = 'client_left'

export interface UnverifiedQueue {
  /** Calls `serve` at once while few requests wait, else in order of arrival. Does not call it
   *  when the client has disconnected. A throw ends that request only. */
  add(client: Waiting, serve: () => void): void
}

export function createUnverifiedQueue(guard: Guard): UnverifiedQueue {
  /** Null replaces a served request, so that the queue does not keep it alive. */
  const waiting: ({ readonly client: Waiting; readonly serve: () => void } | null)[] = []
  /** Everything before this index has been served. */
  let next = 0
  let servedThisTurn = 0
  let isTurnWatched = false

  function serveNow(client: Waiting, serve: () => void): void {
    servedThisTurn++
    try {
      serve()
    } catch (error) {
      guard.failed(client, error)
    }
  }

  function onTurn(): void {
    isTurnWatched = false
    servedThisTurn = 0
    while (next < waiting.length && servedThisTurn < PER_TURN) {
      const request = waiting[next]
      waiting[next++] = null
      if (!request || request.client.destroyed) continue
      serveNow(request.client, request.serve)
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
    add(client, serve) {
      watchTurn()
      const isFull = waiting.length - next >= LONGEST
      if (isFull || (waiting.length === 0 && servedThisTurn < PER_TURN)) serveNow(client, serve)
      else waiting.push({ client, serve })
    }
  }
}
