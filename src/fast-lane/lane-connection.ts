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
import { type ArrivedBody, type ClientConnectionSide, LaneClientSide } from './lane-client-side.ts'
import type { LaneParts } from './lane-parts.ts'
import type { OrdinaryHead } from './recogniser.ts'
import type { ResponseHead } from './response-head.ts'

/** Node's server keeps an idle connection this much longer than it announces (milliseconds). */
const KEEP_ALIVE_MARGIN = 1_000

export class LaneConnection implements Deadline, BodyConnection, ClientConnectionSide, GeneralOwner {
  deadlineAt = Number.POSITIVE_INFINITY
  lookAt = 0
  readonly socket: Socket
  readonly #client: ClientConnection
  readonly #parts: LaneParts
  #request: LaneClientSide | null = null
  #handler: Handler | null = null
  #body: LaneBody | null = null
  readonly #general: GeneralRequests
  /** Bytes of the request's body that have not arrived. */
  #bodyLeft = 0
  /** They belong to a request of the general lane. Otherwise they are dropped without a `#body`. */
  #isGeneralBody = false
  /** Bytes that were read and not used, from `#restAt`. */
  #rest: Buffer | null = null
  #restAt = 0
  #isServing = false
  #hasServed = false
  #isSlow = false
  /** The last response is written, or the socket belongs to another server. */
  #isOver = false

  constructor(socket: Socket, client: ClientConnection, parts: LaneParts) {
    this.socket = socket
    this.#client = client
    this.#parts = parts
    this.#general = new GeneralRequests(socket, client, parts.server, this)
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
    return this.#bodyLeft > 0
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
    if (!this.#isSlow) this.socket.on('timeout', this.#onTimeout)
    this.#isSlow = true
    this.socket.setTimeout(this.#parts.server.limits.writeIdleTimeout)
  }

  onLast(): void {
    this.#isOver = true
    this.#rest = null
  }

  onRequestEnd(): void {
    this.#request = null
    this.#body = null
    this.#parts.onRequestEnd()
    this.#handler?.leave()
    this.#handler = null
    this.#goOn()
  }

  onAnswered(): void {
    this.#goOn()
  }

  onWanted(): void {
    if (this.#rest === null && this.socket.isPaused()) this.socket.resume()
  }

  /** A request was answered, on either lane. */
  #goOn(): void {
    if (this.#isOver || !this.socket.writable) return
    this.#startIdleTime()
    if (this.socket.isPaused()) this.socket.resume()
    if (this.#rest !== null) this.#serve()
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
    if (this.#bodyLeft > 0) {
      const size = Math.min(chunk.length, this.#bodyLeft)
      this.#takeBody(size === chunk.length ? chunk : chunk.subarray(0, size))
      if (size < chunk.length && !this.#isOver) this.#hold(chunk.subarray(size))
    } else this.#hold(chunk)
  }

  #takeBody(part: Buffer): void {
    this.#bodyLeft -= part.length
    if (this.#isFree) this.#startIdleTime()
    if (this.#body !== null) this.#body.add(part, this.#bodyLeft === 0)
    else if (this.#isGeneralBody && !this.#general.add(part)) this.socket.pause()
  }

  /** Bytes of the next request have arrived. */
  #hold(chunk: Buffer): void {
    this.#rest = this.#rest === null ? chunk : Buffer.concat([this.#rest.subarray(this.#restAt), chunk])
    this.#restAt = 0
    if (this.#isFree) this.#serve()
    // The rest of the requests stays in the kernel until this one is answered.
    else this.socket.pause()
  }

  /** A response may end within the call that serves its request: a loop and no recursion. */
  #serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      while (this.#rest !== null && this.#isFree && this.#bodyLeft === 0) this.#serveNext(this.#rest)
    } catch (error) {
      this.#parts.server.guard.failed(this.socket, error)
    }
    this.#isServing = false
  }

  #serveNext(bytes: Buffer): void {
    const { server, recogniser } = this.#parts
    const head = recogniser.recognise(bytes, this.#restAt, bytes.length)
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
  #passOn(bytes: Buffer, { bodyStart, contentLength }: OrdinaryHead, reason: HandOverReason): void {
    const from = this.#restAt
    const end = bodyStart + contentLength
    this.#rest = bytes.length > end ? bytes : null
    this.#restAt = end
    this.#bodyLeft = Math.max(0, end - bytes.length)
    this.#isGeneralBody = true
    this.#hasServed = true
    this.deadlineAt = Number.POSITIVE_INFINITY
    if (!this.#general.begin(bytes.subarray(from, end), reason) || this.#rest !== null) this.socket.pause()
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
    if (this.#rest !== null && this.#request !== null) this.socket.pause()
  }

  /** Takes the bytes of a request from those that were read. */
  #readBody(bytes: Buffer, { bodyStart, contentLength }: OrdinaryHead): ArrivedBody {
    const end = bodyStart + contentLength
    this.#rest = bytes.length > end ? bytes : null
    this.#restAt = end
    if (contentLength === 0) return null
    if (bytes.length >= end) return bytes.subarray(bodyStart, end)
    this.#bodyLeft = end - bytes.length
    this.#body = new LaneBody(this)
    if (bytes.length > bodyStart) this.#body.add(bytes.subarray(bodyStart), false)
    return this.#body
  }

  #handOver(bytes: Buffer, reason: HandOverReason): void {
    const rest = bytes.subarray(this.#restAt)
    this.#general.detach()
    this.#leave()
    this.#isOver = true
    this.#rest = null
    this.socket.pause()
    this.#parts.server.handOver(this.socket, this.#client, rest, reason)
  }

  /** Answers bytes that are no request. */
  #refuse(code: string): void {
    this.#isOver = true
    this.#rest = null
    this.#parts.server.refuse(this.socket, this.#client, code)
  }

  #leave(): void {
    const { socket } = this
    socket.off('data', this.#onData)
    socket.off('end', this.#onEnd)
    socket.off('close', this.#onClose)
    socket.off('error', this.#onError)
    socket.off('drain', this.#onDrain)
    if (this.#isSlow) socket.off('timeout', this.#onTimeout)
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
    if (this.#bodyLeft === 0) {
      socket.end()
      return
    }
    // The body of a request was broken off.
    this.#isOver = true
    if (this.#request === null) socket.destroy()
    else this.#request.brokenOff(this.#parts.server.errorOf('HPE_INVALID_EOF_STATE'))
  }

  readonly #onClose = (): void => {
    this.#isOver = true
    this.#rest = null
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
    if (this.#isSlow) this.socket.setTimeout(0)
    this.#request?.onDrain()
  }

  readonly #onTimeout = (): void => {
    if (this.socket.writableLength > 0) this.socket.destroy()
  }
}
