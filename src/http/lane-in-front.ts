/** Puts a lane in front of Node's HTTP server: it gets each accepted socket first. */
import type { Socket } from 'node:net'
import type { ApiError } from '../errors.ts'
import type { Serve } from './accept.ts'
import type { AnswerParseError } from './answer/parse-error-answer.ts'
import type { Connections } from './connections.ts'
import type { Guard } from './guard.ts'
import type { Handler } from './handler.ts'
import type { CreateLane, Lane, LaneLimits } from './lane.ts'

export interface LaneInFrontOptions {
  readonly createLane: CreateLane
  readonly limits: LaneLimits
  readonly guard: Guard
  readonly handler: () => Handler
  readonly connections: Connections
  readonly answerParseError: AnswerParseError
  /** @param code Of an error of Node's HTTP server. */
  readonly errorOf: (code: string) => ApiError
}

export interface LaneInFront {
  readonly lane: Lane
  serve(socket: Socket): void
}

export function putLaneInFront(serveByNode: Serve, options: LaneInFrontOptions): LaneInFront {
  const { createLane, connections, answerParseError, errorOf, limits, guard, handler } = options
  const lane = createLane({
    limits,
    guard,
    handler,
    errorOf,
    open(stream, client) {
      connections.join(stream, client)
      serveByNode(stream)
    },
    handOver(socket, client, bytes, reason) {
      client.laneReason = reason
      // One chunk: Node's parser reads new bytes below the stream, also while the stream holds
      // more.
      const held: Buffer | null = socket.read()
      socket.unshift(held === null ? bytes : Buffer.concat([bytes, held]))
      serveByNode(socket)
      socket.resume()
    },
    refuse: (socket, client, code) => answerParseError(socket, client, errorOf(code))
  })
  return {
    lane,
    serve(socket) {
      const client = connections.of(socket)
      if (socket.writable && !client.isSurplus) {
        lane.accept(socket, client)
        return
      }
      client.laneReason = 'surplus'
      serveByNode(socket)
    }
  }
}
