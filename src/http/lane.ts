/** The port of the fast lane: it serves some requests on the accepted socket, before Node's HTTP
 *  server reads it. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../errors.ts'
import type { ClientConnection } from './connections.ts'
import type { Guard } from './guard.ts'
import type { Handler } from './handler.ts'

export interface Lane {
  /** Takes over a socket from which no listener reads. Bytes that have arrived lie in its
   *  buffer. */
  accept(socket: Socket, connection: ClientConnection): void
  /** Running requests. */
  readonly active: number
  /** Closes some of the connections that are between two requests. False: found none. */
  closeIdle(): boolean
  /** Closes every connection, and stops the timers. */
  close(): void
}

export interface LaneLimits {
  /** Milliseconds to the first byte of a new connection. */
  readonly headersTimeout: number
  readonly keepAliveTimeout: number
  /** Milliseconds without progress after which an answer that the client does not read is given
   *  up. */
  readonly writeIdleTimeout: number
}

/** The server around a lane. */
export interface LaneServer {
  readonly limits: LaneLimits
  readonly guard: Guard
  /** The handler of the next request. */
  handler(): Handler
  /** Gives a stream to Node's server, which takes it for the connection. `connection.onAnswered` is
   *  called after each request on it. */
  open(stream: Duplex, connection: ClientConnection): void
  /** Gives the socket to Node's server, for the rest of the connection.
   *  @param bytes Read and not served.
   *  @param reason A word for the metrics. */
  handOver(socket: Socket, connection: ClientConnection, bytes: Buffer, reason: string): void
  /** Answers a parse error, and closes the connection.
   *  @param code As in the errors of Node's server. */
  refuse(socket: Socket, connection: ClientConnection, code: string): void
  /** @param code As for `refuse`. */
  errorOf(code: string): ApiError
}

export type CreateLane = (server: LaneServer) => Lane
