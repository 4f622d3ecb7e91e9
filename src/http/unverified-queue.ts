/** Queue for requests whose token is unverified: a few are served per turn of the event loop, so that a flood of bad
 *  tokens slows its senders down and hardly anyone whose token is known. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Guard } from './guard.ts'

/** Served in one turn of the event loop. The next turn begins with the requests that have arrived meanwhile. */
const PER_TURN = 4
/** With more waiting, nobody is put off any further: all are late. */
const LONGEST = 4_096
/** Places of served requests are given back in batches of this size. */
const COMPACT_AFTER = 1_024
/** Reason in the access log of a request whose turn had not come when its client left. */
export const CLIENT_LEFT = 'client_left'

export interface UnverifiedQueue {
  /** Calls `serve` at once while there are few, else in order of arrival. Not at all when the client has left before its
   *  turn. A throw ends that request alone.
   *  @param client The response, or the socket of a WebSocket handshake. */
  add(client: ServerResponse | Duplex, serve: () => void): void
}

export function createUnverifiedQueue(guard: Guard): UnverifiedQueue {
  /** Null in the place of a served request: the queue must not keep it alive. */
  const waiting: ({ readonly client: ServerResponse | Duplex; readonly serve: () => void } | null)[] = []
  /** Everything before this index has been served. */
  let next = 0
  let servedThisTurn = 0
  let isTurnWatched = false

  function serveNow(client: ServerResponse | Duplex, serve: () => void): void {
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
