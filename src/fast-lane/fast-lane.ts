/** The fast lane: ordinary requests of the proxy on raw sockets, without Node's HTTP server
 *  (docs/decisions/0013). */
import type { Clock } from '../clock.ts'
import type { CreateLane } from '../http/lane.ts'
import { Deadlines } from './deadlines.ts'
import { LaneConnection } from './lane-connection.ts'
import type { HeldConnection, LaneParts } from './lane-parts.ts'
import { Recogniser } from './recogniser.ts'
import { ResponseHead } from './response-head.ts'

export interface FastLaneDeps {
  readonly clock: Pick<Clock, 'monotonic' | 'setTimeout' | 'clearTimeout'>
  /** Counts a request. */
  readonly onRequest: () => void
}

/** Turns of the timer wheel in the shortest time limit. */
const TURNS = 8
/** Idle connections that are closed at a time, oldest first. To close more would make many clients
 *  connect again at once. */
const MOST_CLOSED = 16
const MOST_LOOKED_AT = 1_000
const MIN_TURN_MS = 10
const MAX_TURN_MS = 1_000

export function createFastLane({ clock, onRequest }: FastLaneDeps): CreateLane {
  return (server) => {
    const { headersTimeout, keepAliveTimeout } = server.limits
    const turnMs = Math.min(headersTimeout, keepAliveTimeout) / TURNS
    const connections = new Set<HeldConnection>()
    let active = 0
    const parts: LaneParts = {
      server,
      recogniser: new Recogniser(),
      head: new ResponseHead(keepAliveTimeout),
      deadlines: new Deadlines(clock, Math.min(MAX_TURN_MS, Math.max(MIN_TURN_MS, turnMs))),
      onRequest() {
        active++
        onRequest()
      },
      onRequestEnd() {
        active--
      },
      onLeft: (connection) => void connections.delete(connection)
    }
    return {
      get active() {
        return active
      },
      accept: (socket, client) => void connections.add(new LaneConnection(socket, client, parts)),
      closeIdle() {
        let looked = 0
        let closed = 0
        for (const connection of connections) {
          if (closed === MOST_CLOSED || ++looked > MOST_LOOKED_AT) break
          if (!connection.isIdle) continue
          connection.socket.destroy()
          closed++
        }
        return closed > 0
      },
      close() {
        for (const connection of [...connections]) connection.socket.destroy()
        parts.deadlines.stop()
      }
    }
  }
}
