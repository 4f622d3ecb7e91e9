/** The port between a listener and the configuration that serves its requests. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Admit } from './admit.ts'
import type { ClientSide } from './client-side.ts'
import type { Peers } from './network.ts'
import type { AdmittedRequest, GatewayRequest } from './request.ts'

/** Serves a request that needs nothing of Node's HTTP server. */
export type ServeOrdinary = (request: AdmittedRequest, client: ClientSide) => void
/** Null: the request needs Node's HTTP server. */
export type FindOrdinary = (request: AdmittedRequest) => ServeOrdinary | null

/** Serves the requests of one configuration. */
export interface Handler {
  readonly admit: Admit
  readonly peers: Peers
  /** A throw ends the request with internal_error. */
  serve(request: AdmittedRequest, req: GatewayRequest, res: ServerResponse): void
  readonly ordinary: FindOrdinary
  /** Answers on `socket`, and calls `onEnd` with the status once the connection is over. Null:
   *  no upgrade is accepted. */
  readonly upgrade:
    | ((request: AdmittedRequest, socket: Duplex, head: Buffer, onEnd: (status: number) => void) => void)
    | null
  /** Refused requests queue with unverified tokens. */
  refuse(res: ServerResponse, send: () => void): void
  /** Counts the requests that started under this configuration. */
  enter(): void
  leave(): void
}
