/** The connection of a request on the fast lane, as its client side sees it. */
import type { Socket } from 'node:net'
import type { LaneBody } from './lane-body.ts'
import type { ResponseHead } from './response-head.ts'

export interface RequestConnection {
  readonly socket: Socket
  readonly head: ResponseHead
  /** A part of the request's body has not arrived. */
  readonly isReading: boolean
  /** The client is slower than the response. */
  onSlow(): void
  /** Nothing more is read or written for the request. */
  onRequestEnd(): void
  /** No further request of the connection is served. */
  onLast(): void
}

/** The body of a request: complete, or arriving; null for none. */
export type ArrivedBody = Buffer | LaneBody | null
