/** The parts that the connections of a lane share. */
import type { Socket } from 'node:net'
import type { LaneServer } from '../http/lane.ts'
import type { Deadlines } from './deadlines.ts'
import type { Recogniser } from './recogniser.ts'
import type { ResponseHead } from './response-head.ts'

export interface HeldConnection {
  readonly socket: Socket
  /** Between two requests. */
  readonly isIdle: boolean
}

/** Everything that the connections of a lane share. */
export interface LaneParts {
  readonly server: LaneServer
  readonly recogniser: Recogniser
  readonly head: ResponseHead
  readonly deadlines: Deadlines
  onRequest(): void
  onRequestEnd(): void
  /** The lane holds the connection no more. */
  onLeft(connection: HeldConnection): void
}
