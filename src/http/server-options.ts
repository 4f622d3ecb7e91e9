/** Options of the HTTP server behind a listener. */
import type { ConnectionRoom } from './connection-room.ts'
import type { ConnectionLimits } from './connections.ts'
import type { Guard } from './guard.ts'
import type { Handler } from './handler.ts'
import type { CreateLane } from './lane.ts'
import type { TlsFiles } from './tls-files.ts'

export interface ServerLimits extends ConnectionLimits {
  /** Bytes. */
  readonly uri: number
  readonly headers: number
  /** Milliseconds. */
  readonly headersTimeout: number
  readonly keepAliveTimeout: number
}

export interface ServerOptions {
  readonly limits: ServerLimits
  /** Milliseconds to the last byte of a request; 0 for no limit. */
  readonly requestTimeout: number
  readonly tls: TlsFiles | null
  readonly handler: Handler
  readonly guard: Guard
  /** Undefined: no limit of connections. */
  readonly room?: ConnectionRoom
  /** Called for each connection beyond the limit. */
  readonly onSurplus?: () => void
  /** Called for each connection that was closed because its peer sent no valid PROXY header. */
  readonly onProxyHeaderRefused?: (peer: string) => void
  /** Called for each error that was written outside a response. */
  readonly onParseError: (status: number) => void
  /** Null: Node's HTTP server reads every request. */
  readonly createLane: CreateLane | null
  /** Called for each request that Node's server serves.
   *  @param reason The reason why no lane does. */
  readonly onGeneralRequest: (reason: string) => void
}
