/** A request that passed admission, and the IncomingMessage that carries it through Node's
 *  server and Fastify. */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { IncomingMessage } from '../node-http.ts'
import type { UnderWay } from './client-side.ts'
import type { ClientConnection } from './connections.ts'
import type { RequestHeaders } from './headers/request-headers.ts'
import type { Peer } from './network.ts'
import type { CanonicalPath } from './path/canonical-path.ts'
import type { RequestRecord } from './record.ts'

export interface AdmittedRequest {
  readonly method: string
  readonly target: CanonicalPath
  readonly headers: RequestHeaders
  readonly peer: Peer
  readonly record: RequestRecord
}

/** The class of every request of the server (`http.createServer({ IncomingMessage })`). */
export class GatewayRequest extends IncomingMessage {
  /** Null for a refused request. */
  admitted: AdmittedRequest | null = null
  record: RequestRecord | null = null
  client: ClientConnection | null = null
  underWay: UnderWay | null = null
  /** Headers of the gateway's own answers, name and value in turns. */
  answerHeaders: readonly string[] | null = null
  /** Called when the request is over, so that the configuration it started under can end. */
  owner: { leave(): void } | null = null
  #continues: ServerResponse | null = null

  constructor(socket: Socket) {
    super(socket)
  }

  /** Sends "100 Continue" when the body is first read (RFC 9110, section 10.1.1), so never
   *  before a refusal. */
  continueWhenRead(res: ServerResponse): void {
    this.#continues = res
  }

  /** True while the client still waits for "100 Continue". */
  get isWaitingToContinue(): boolean {
    return this.#continues !== null
  }

  override _read(size: number): void {
    this.#sendContinue()
    super._read(size)
  }

  /** A body that has arrived completely is read without `_read`. */
  override resume(): this {
    this.#sendContinue()
    return super.resume()
  }

  #sendContinue(): void {
    const res = this.#continues
    this.#continues = null
    if (res !== null && !res.headersSent && !res.destroyed) res.writeContinue()
  }
}

/** The admitted request behind one of Fastify's. Throws for a message that did not come through
 *  the server. */
export function admittedOf(raw: IncomingMessage): AdmittedRequest {
  if (raw instanceof GatewayRequest && raw.admitted !== null) return raw.admitted
  throw new Error('the request was not admitted')
}

export function recordOf(raw: IncomingMessage): RequestRecord {
  return admittedOf(raw).record
}
