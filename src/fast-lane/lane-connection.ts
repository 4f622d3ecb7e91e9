/** One connection on the fast lane: serves a request at a time, or hands over the connection. */
import type { Socket } from 'node:net'
import { Refusal } from '../http/admit.ts'
import type { ClientConnection } from '../http/connections.ts'
import type { Handler } from '../http/handler.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Deadline } from './deadlines.ts'
import { type GeneralOwner, GeneralRequests } from './general-requests.ts'
import { type HandOverReason, reasonAgainst } from './hand-over.ts'
import { type BodyConnection, LaneBody } from './lane-body.ts'
import { LaneClientSide } from './lane-client-side.ts'
import type { LaneParts } from './lane-parts.ts'
import type { OrdinaryHead } from './recogniser.ts'
import { RequestBytes } from './request-bytes.ts'
import type { ArrivedBody, RequestConnection } from './request-connection.ts'
import type { ResponseHead } from './response-head.ts'
import { SlowClient } from './slow-client.ts'

/** Node's server keeps an idle connection this much longer than it announces (milliseconds). */
const KEEP_ALIVE_MARGIN = 1_000

export class LaneConnection implements Deadline, BodyConnection, RequestConnection, GeneralOwner {
  deadlineAt = Number.POSITIVE_INFINITY
  lookAt = 0
  readonly socket: Socket
  readonly #client: ClientConnection
  readonly #parts: LaneParts
  #request: LaneClientSide | null = null
  #handler: Handler | null = null
  #body: LaneBody | null = null
  readonly #general: GeneralRequests
  readonly #bytes = new RequestBytes()
  /** The current body belongs to a request of the general lane. Without this and a `#body` it is
   *  dropped. */
  #isGeneralBody = false
  readonly #slowClient: SlowClient
  #isServing = false
  #hasServed = false
  /** The last response is written, or the socket belongs to another server. */
  #isOver = false

  constructor(socket: Socket, client: ClientConnection, parts: LaneParts) {
    this.socket = socket
    this.#client = client
    this.#parts = parts
    this.#general = new GeneralRequests(socket, client, parts.server, this)
    this.#slowClient = new SlowClient(socket, parts.server.limits.writeIdleTimeout)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onClose)
    socket.on('error', this.#onError)
    socket.on('drain', this.#onDrain)
    parts.deadlines.set(this, parts.server.limits.headersTimeout)
  }

  get head(): ResponseHead {
    return this.#parts.head
  }

  get isReading(): boolean {
    return this.#bytes.bodyLeft > 0
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
    this.#slowClient.watch()
  }

  onLast(): void {
    this.#isOver = true
    this.#bytes.unused = null
  }

  onRequestEnd(): void {
    this.#request = null
    this.#body = null
    this.#parts.onRequestEnd()
    this.#handler?.leave()
    this.#handler = null
    this.onAnswered()
  }

  onWanted(): void {
    if (this.#bytes.unused === null && this.socket.isPaused()) this.socket.resume()
  }

  /** A request was answered, on either lane. */
  onAnswered(): void {
    if (this.#isOver || !this.socket.writable) return
    this.#startIdleTime()
    if (this.socket.isPaused()) this.socket.resume()
    if (this.#bytes.unused !== null) this.#serve()
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

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isOver) return
    const bytes = this.#bytes
    if (bytes.bodyLeft > 0) this.#takeBody(bytes.useBody(chunk))
    else bytes.add(chunk)
    if (bytes.unused === null || this.#isOver) return
    if (this.#isFree) this.#serve()
    // The rest of the requests stays in the kernel until this one is answered.
    else this.socket.pause()
  }

  #takeBody(part: Buffer): void {
    if (this.#isFree) this.#startIdleTime()
    if (this.#body !== null) this.#body.add(part, this.#bytes.bodyLeft === 0)
    else if (this.#isGeneralBody && !this.#general.add(part)) this.socket.pause()
  }

  /** A response may end within the call that serves its request: a loop and no recursion. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      const bytes = this.#bytes
      while (bytes.unused !== null && this.#isFree && bytes.bodyLeft === 0) this.#serveNext(bytes.unused)
    } catch (error) {
      this.#parts.server.guard.failed(this.socket, error)
    }
    this.#isServing = false
  }

  #serveNext(bytes: Buffer): void {
    const { server, recogniser } = this.#parts
    const head = recogniser.recognise(bytes, this.#bytes.at, bytes.length)
    if (typeof head === 'string') {
      this.#handOver(bytes, head)
      return
    }
    const handler = server.handler()
    const admission = handler.admit(head, this.#client)
    const reason = reasonAgainst(head, admission, handler)
    if (admission instanceof Refusal || reason !== null) this.#passOn(bytes, head, reason ?? 'refused')
    else this.#begin(bytes, head, admission, handler)
  }

  /** Node's server gets this request, and the lane the next one. */
  #passOn(bytes: Buffer, head: OrdinaryHead, reason: HandOverReason): void {
    const request = bytes.subarray(this.#bytes.at, this.#bytes.use(bytes, head))
    this.#isGeneralBody = true
    this.#hasServed = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (!this.#general.begin(request, reason) || this.#bytes.unused !== null) this.socket.pause()
  }

  #begin(bytes: Buffer, head: OrdinaryHead, admission: AdmittedRequest, handler: Handler): void {
    this.#isGeneralBody = false
    const request = new LaneClientSide(this, admission.record, head, this.#readBody(bytes, head))
    this.#request = request
    this.#handler = handler
    this.#hasServed = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    this.#parts.onRequest()
    handler.enter()
    try {
      handler.ordinary?.serve(admission, request)
    } catch (error) {
      this.#parts.server.guard.failed(request, error)
    }
    if (this.#bytes.unused !== null && this.#request !== null) this.socket.pause()
  }

  #readBody(bytes: Buffer, head: OrdinaryHead): ArrivedBody {
    const end = this.#bytes.use(bytes, head)
    if (head.contentLength === 0) return null
    if (bytes.length >= end) return bytes.subarray(head.bodyStart, end)
    this.#body = new LaneBody(this)
    if (bytes.length > head.bodyStart) this.#body.add(bytes.subarray(head.bodyStart), false)
    return this.#body
  }

  #handOver(bytes: Buffer, reason: HandOverReason): void {
    const rest = bytes.subarray(this.#bytes.at)
    this.#general.detach()
    this.#leave()
    this.onLast()
    this.socket.pause()
    this.#parts.server.handOver(this.socket, this.#client, rest, reason)
  }

  /** Answers bytes that are no request. */
  #refuse(code: string): void {
    this.onLast()
    this.#parts.server.refuse(this.socket, this.#client, code)
  }

  #leave(): void {
    const { socket } = this
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    socket.off('error', this.#onError)
    socket.off('drain', this.#onDrain)
    this.#slowClient.leave()
    this.#parts.deadlines.remove(this)
    this.#parts.onLeft(this)
  }

  readonly #onEnd = (): void => {
    const { socket } = this
    if (this.#isOver) return
    if (this.#general.isUnderWay) {
      this.#general.end()
      return
    }
    if (!this.isReading) {
      socket.end()
      return
    }
    // The body of a request was broken off.
    this.#isOver = true
    if (this.#request === null) socket.destroy()
    else this.#request.brokenOff(this.#parts.server.errorOf('HPE_INVALID_EOF_STATE'))
  }

  readonly #onClose = (): void => {
    this.onLast()
    this.#parts.deadlines.remove(this)
    this.#parts.onLeft(this)
    const body = this.#body
    this.#request?.onOver()
    body?.lost()
    this.#general.destroy()
  }

  /** `close` follows. */
  readonly #onError = (): void => {
    this.socket.destroy()
  }

  readonly #onDrain = (): void => {
    this.#slowClient.rest()
    this.#request?.onDrain()
  }
}
