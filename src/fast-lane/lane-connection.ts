/** One connection on the fast lane: serves a request at a time, or hands over the connection. */
import type { Socket } from 'node:net'
import { Refusal } from '../http/admit.ts'
import type { ClientConnection } from '../http/connections.ts'
import type { Handler } from '../http/handler.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Deadline } from './deadlines.ts'
import { type GeneralOwner, GeneralRequests } from './general-requests.ts'
import { type HandOverReason, laneWay } from './hand-over.ts'
import { LaneClientSide } from './lane-client-side.ts'
import type { LaneParts } from './lane-parts.ts'
import type { OrdinaryHead } from './recogniser.ts'
import type { RequestConnection } from './request-connection.ts'
import { type ReaderOwner, RequestReader } from './request-reader.ts'
import type { ResponseHead } from './response-head.ts'
import { SlowClient } from './slow-client.ts'

/** Node's server keeps an idle connection this much longer than it announces (milliseconds). */
const KEEP_ALIVE_MARGIN = 1_000
/** Bytes of further requests that are read while one is under way. */
const MAX_WAITING = 16 * 1024

export class LaneConnection implements Deadline, ReaderOwner, RequestConnection, GeneralOwner {
  deadlineAt = Number.POSITIVE_INFINITY
  lookAt = 0
  readonly socket: Socket
  readonly #client: ClientConnection
  readonly #parts: LaneParts
  #request: LaneClientSide | null = null
  #handler: Handler | null = null
  readonly #general: GeneralRequests
  readonly #reader: RequestReader
  /** Null until the client is slower than an answer. */
  #slowClient: SlowClient | null = null
  #isServing = false
  #hasServed = false
  /** The last response is written, or the socket belongs to another server. */
  isOver = false

  constructor(socket: Socket, client: ClientConnection, parts: LaneParts) {
    this.socket = socket
    this.#client = client
    this.#parts = parts
    this.#general = new GeneralRequests(socket, client, parts.server, this)
    this.#reader = new RequestReader(socket, this)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    socket.on('error', destroySocket)
    socket.on('drain', this.#onDrain)
    parts.deadlines.set(this, parts.server.limits.headersTimeout)
  }

  get head(): ResponseHead {
    return this.#parts.head
  }

  get isReading(): boolean {
    return this.#reader.isReading
  }

  /** Between two requests. */
  get isIdle(): boolean {
    return this.#hasServed && this.#isFree
  }

  get #isFree(): boolean {
    return this.#request === null && !this.#general.isUnderWay
  }

  onDeadline(): void {
    if (this.#hasServed) this.socket.destroy()
    else this.#refuse('ERR_HTTP_REQUEST_TIMEOUT')
  }

  onSlow(): void {
    this.#slowClient ??= new SlowClient(this.socket, this.#parts.server.limits.writeIdleTimeout)
    this.#slowClient.watch()
  }

  onLast(): void {
    this.isOver = true
    this.#reader.unused = null
  }

  onRequestEnd(): void {
    this.#request = null
    this.#reader.body = null
    this.#parts.onRequestEnd()
    this.#handler?.leave()
    this.#handler = null
    this.onAnswered()
  }

  onWanted(): void {
    if (!this.#general.isUnderWay) return
    if (this.#reader.unused === null && this.socket.isPaused()) this.socket.resume()
  }

  /** A request was answered, on either lane. */
  onAnswered(): void {
    if (this.isOver || !this.socket.writable) return
    this.#startIdleTime()
    if (this.socket.isPaused()) this.socket.resume()
    if (this.#reader.unused !== null) this.#serve()
  }

  #startIdleTime(): void {
    const { server, deadlines } = this.#parts
    deadlines.set(this, server.limits.keepAliveTimeout + KEEP_ALIVE_MARGIN)
  }

  pauseBody(): void {
    this.socket.pause()
  }

  resumeBody(): void {
    this.socket.resume()
  }

  onBodyBytes(): void {
    if (this.#isFree) this.#startIdleTime()
  }

  onRequestBytes(): void {
    if (this.#isFree) this.#serve()
    else this.#holdBack()
  }

  /** Leaves the rest of the requests in the kernel until the current one is answered. Reading goes
   *  on before that: a socket that does not read cannot tell that its client has left. */
  #holdBack(): void {
    if (this.#reader.waiting >= MAX_WAITING) this.socket.pause()
  }

  /** A response may end within the call that serves its request: a loop and no recursion. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      const reader = this.#reader
      while (reader.unused !== null && this.#isFree && !reader.isReading) this.#serveNext(reader.unused)
    } catch (error) {
      this.#parts.server.guard.failed(this.socket, error)
    }
    this.#isServing = false
  }

  #serveNext(bytes: Buffer): void {
    const { server, recogniser } = this.#parts
    const head = recogniser.recognise(bytes, this.#reader.at, bytes.length)
    if (typeof head === 'string') {
      this.#handOver(bytes, head)
      return
    }
    const handler = server.handler()
    const admission = handler.admit(head, this.#client)
    if (admission instanceof Refusal) this.#passOn(bytes, head, 'refused')
    else this.#serveAdmitted(bytes, head, admission, handler)
  }

  /** Node's server gets this request, and the lane the next one. */
  #passOn(bytes: Buffer, head: OrdinaryHead, reason: HandOverReason): void {
    const request = this.#reader.usePassed(bytes, head, this.#general)
    this.#hasServed = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (!this.#general.begin(request, reason)) this.socket.pause()
    else this.#holdBack()
  }

  #serveAdmitted(bytes: Buffer, head: OrdinaryHead, admitted: AdmittedRequest, handler: Handler): void {
    const serve = laneWay(head, admitted, handler)
    if (typeof serve === 'string') {
      this.#passOn(bytes, head, serve)
      return
    }
    const request = new LaneClientSide(this, admitted.record, head, this.#reader.use(bytes, head))
    this.#request = request
    this.#handler = handler
    this.#hasServed = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#parts.onRequest()
    handler.enter()
    try {
      serve(admitted, request)
    } catch (error) {
      this.#parts.server.guard.failed(request, error)
    }
    if (this.#request !== null) this.#holdBack()
  }

  #handOver(bytes: Buffer, reason: HandOverReason): void {
    const rest = this.#reader.leave(bytes)
    this.#general.detach()
    this.#leave()
    this.onLast()
    this.socket.pause()
    this.#parts.server.handOver(this.socket, this.#client, rest, reason)
  }

  /** Answers a parse error. */
  #refuse(code: string): void {
    this.onLast()
    this.#parts.server.refuse(this.socket, this.#client, code)
  }

  #leave(): void {
    const { socket } = this
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    socket.off('error', destroySocket)
    socket.off('drain', this.#onDrain)
    this.#slowClient?.leave()
    this.#parts.deadlines.remove(this)
    this.#parts.onLeft(this)
  }

  readonly #onEnd = (): void => {
    if (this.isOver) return
    if (this.#general.isUnderWay) this.#general.end()
    else if (this.isReading) this.#breakOff()
    else this.socket.end()
  }

  /** The client ended its side within the body of a request. */
  #breakOff(): void {
    this.isOver = true
    if (this.#request === null) this.socket.destroy()
    else this.#request.brokenOff(this.#parts.server.errorOf('HPE_INVALID_EOF_STATE'))
  }

  readonly #onClose = (): void => {
    this.onLast()
    this.#parts.deadlines.remove(this)
    this.#parts.onLeft(this)
    const { body } = this.#reader
    this.#request?.onOver()
    body?.lost()
    this.#general.destroy()
  }

  readonly #onDrain = (): void => {
    this.#slowClient?.rest()
    this.#request?.onDrain()
  }
}

/** `close` follows. */
function destroySocket(this: Socket): void {
  this.destroy()
}
