/** One proxied request: sent to a target, its response written to the client as it arrives. */
import type { ApiError } from '../errors.ts'
import type { RequestBody } from '../http/body/request-body.ts'
import type { Drained, UnderWay } from '../http/client-side.ts'
import { addHsts } from '../http/headers/hsts.ts'
import type { Asker, Lease } from '../upstream/attempts.ts'
import type { ResponseHandler, UpstreamConnection } from '../upstream/connection/messages.ts'
import { causeOf, INVALID_RESPONSE, isOwnFault, toUpstreamError, UPSTREAM_TIMEOUT } from '../upstream/failures.ts'
import type { Target } from '../upstream/target.ts'
import { createOpenBody } from './event-stream.ts'
import type { ExchangedRequest, ExchangeParts } from './exchange-options.ts'
import type { OpenBody } from './open-body.ts'
import { deadlineOf } from './plan.ts'
import { buildResponseHead } from './response-head.ts'
import { timing } from './server-timing.ts'
import { type AnswerTransform, type TransformedExchange, UNCHANGED_BODIES } from './transforms/transform.ts'
import { prepareRetry } from './upstream-head.ts'

/** RFC 8297. */
const EARLY_HINTS = 103
/** Ends one try so that another can follow. Never reaches a client. */
const ASK_ANOTHER = new Error('another target is asked')

export class Exchange implements ResponseHandler, Asker, UnderWay, Drained {
  readonly #parts: ExchangeParts
  readonly #exchanged: ExchangedRequest
  readonly #lease: Lease
  readonly #deadlineAt: number
  #connection: UpstreamConnection | null = null
  /** Receives the response for the exchange: itself, or a transform in front of it. */
  #handler: ResponseHandler = this
  #wasSent = false
  #head: string[] | null = null
  /** Headers beside those of the upstream, name and value in turns. Set them before `start`. */
  addedHeaders: readonly string[] = []
  /** Of `performance.now()`, at the start of the last try; only for Server-Timing. */
  #askedAt = 0
  #status = 0
  #firstChunk: Buffer | null = null
  #isOver = false
  #body: RequestBody | null = null
  #ownBody: Buffer | null = null
  #answer: AnswerTransform | null = null
  /** Null until the response continues after its first bytes. */
  #open: OpenBody | null = null

  constructor(parts: ExchangeParts, exchanged: ExchangedRequest) {
    const { route, principal, request, head, client } = exchanged
    this.#parts = parts
    this.#exchanged = exchanged
    this.#deadlineAt = deadlineOf(route, parts.clock)
    const key = principal === null ? null : principal.openId
    const isReplayable = head.bodyLength === 0
    const wanted = { key, method: request.method, isReplayable, deadlineAt: this.#deadlineAt }
    this.#lease = route.plan.upstream.attempts(wanted)
    client.endsWith(this)
  }

  /** Without transformed bodies the client's and the upstream's stream through. */
  start({ body, answer }: TransformedExchange = UNCHANGED_BODIES): void {
    this.#ownBody ??= body
    this.#answer ??= answer
    // The client may have disconnected during an asynchronous step before.
    if (this.#isOver) {
      this.#answer?.release()
      return
    }
    const target = this.#lease.next()
    if (target === null) this.#lease.wait(this)
    else this.onTarget(target)
  }

  onNoTarget(error: ApiError, reason: string): void {
    this.#fail(error, reason)
  }

  onTarget(target: Target): void {
    const { head, client, request, route } = this.#exchanged
    this.#wasSent = false
    if (this.#parts.serverTiming) this.#askedAt = performance.now()
    request.record.attempted(target, head.path)
    const isChanged = this.#ownBody !== null || this.#answer !== null
    const body = head.bodyLength === 0 || isChanged ? null : client.openBody(route.plan.bodyLimits)
    this.#body = Buffer.isBuffer(body) ? null : body
    this.#handler = this.#answer === null ? this : this.#answer.wrap(this)
    const sent = {
      method: request.method,
      path: head.path,
      host: head.host,
      headers: head.headers,
      own: head.own,
      body: this.#ownBody ?? body,
      bodyLength: isChanged ? (this.#ownBody?.length ?? 0) : head.bodyLength,
      responseTimeoutMs: route.plan.responseTimeoutMs,
      deadlineAt: this.#deadlineAt
    }
    this.#connection = target.pool.send(sent, this.#handler, this.#lease.startedAt)
  }

  /** Replaces the start. */
  refuse(error: ApiError): void {
    this.#exchanged.request.record.refused(error.code)
    this.#fail(error)
  }

  onSent(): void {
    this.#wasSent = true
  }

  onInformational(status: number, raw: string[]): void {
    if (status !== EARLY_HINTS) return
    const hints = buildResponseHead(raw, status, this.#parts.responseHeaders, this.#exchanged)
    if (hints !== null) this.#exchanged.client.hint(hints)
  }

  onHead(status: number, raw: string[]): void {
    this.#status = status
    if (this.#lease.answered(status)) throw ASK_ANOTHER
    this.#exchanged.request.record.answered(status)
    const head = buildResponseHead(raw, status, this.#parts.responseHeaders, this.#exchanged)
    if (head === null) throw INVALID_RESPONSE
    this.#head = head
    this.#parts.flusher.add(this)
  }

  onData(chunk: Buffer, isBorrowed: boolean): boolean {
    if (this.#head !== null && this.#firstChunk === null) {
      this.#firstChunk = isBorrowed ? Buffer.from(chunk) : chunk
      return true
    }
    if (this.#head !== null) this.flush()
    return this.#open === null || this.#open.write(chunk, isBorrowed)
  }

  onEnd(): void {
    this.#settle()
    this.#lease.done()
    if (this.#head !== null) this.#writeHead()
    this.#exchanged.client.end(this.#firstChunk)
    this.#isOver = true
  }

  onError(error: Error): void {
    this.#settle()
    this.#body?.destroy()
    if (error === ASK_ANOTHER || this.#lease.failed(error, this.#wasSent)) {
      prepareRetry(this.#exchanged, error === ASK_ANOTHER ? String(this.#status) : causeOf(error))
      this.start()
    } else this.#fail(this.#toApiError(error), causeOf(error))
  }

  /** Called by the flusher: writes the head and a first chunk. */
  flush(): void {
    const { client, route, request, principal } = this.#exchanged
    const { clock, live } = this.#parts
    if (this.#head === null || this.#isOver || client.destroyed) return
    const idleMs = route.plan.upstream.config.timeouts.idle
    const session = principal && { principal, authorization: request.headers.authorization }
    const deps = { client, drained: this, clock, live, idleMs, session }
    const onSilence = () => this.#stop(UPSTREAM_TIMEOUT)
    const onEnd = (reason: string) => this.#endStream(reason)
    const body = createOpenBody(this.#head, { ...deps, onSilence, onEnd })
    try {
      this.#writeHead()
    } catch (error) {
      // The flusher's timer has no error handler.
      this.#stop(this.#toApiError(error), error)
      return
    }
    const chunk = this.#firstChunk
    this.#firstChunk = null
    this.#open = body
    // The first chunk was accepted before it was written. At most one more follows it.
    body.start(chunk)
  }

  onDrain(): void {
    this.#open?.drained()
    this.#connection?.resume(this.#handler)
  }

  onClientClose(): void {
    this.#answer?.release()
    if (!this.#isOver) this.#abandon()
  }

  /** Ends the upstream request; onError does the rest. */
  #stop(error: ApiError, cause?: unknown): void {
    if (this.#connection) this.#connection.fail(this.#handler, error)
    else this.#fail(error, causeOf(cause))
  }

  /** Ends the upstream request without an answer to the client. */
  #abandon(): void {
    this.#isOver = true
    this.#lease.stopWaiting()
    this.#connection?.abort(this.#handler)
    this.#settle()
    this.#lease.done()
    this.#body?.destroy()
  }

  #toApiError(error: unknown): ApiError {
    const { record } = this.#exchanged.request
    return isOwnFault(error) ? this.#parts.guard.toApiError(error, record) : toUpstreamError(error, this.#wasSent)
  }

  #writeHead(): void {
    const { client } = this.#exchanged
    const head = this.#head ?? []
    this.#head = null
    const { lifecycle, serverTiming, hsts } = this.#parts
    if (this.addedHeaders.length > 0) head.push(...this.addedHeaders)
    if (serverTiming) head.push('Server-Timing', timing(this.#exchanged.request.record, this.#askedAt))
    addHsts(head, hsts, this.#exchanged.request)
    if (lifecycle.isDraining) client.last()
    client.head(this.#status, head)
  }

  /** Ends an event stream in order: to the client it is complete. */
  #endStream(reason: string): void {
    if (this.#isOver) return
    this.#exchanged.request.record.ended(reason)
    this.#abandon()
    this.#exchanged.client.end(null)
  }

  /** The connection serves other requests from now on. */
  #settle(): void {
    this.#connection = null
    this.#open?.close()
  }

  /** @param cause A word for the log. */
  #fail(error: ApiError, cause = ''): void {
    if (this.#isOver) return
    this.#isOver = true
    const { client, request } = this.#exchanged
    const { record } = request
    this.#body?.destroy()
    if (client.hasBegun) {
      record.failed('upstream_truncated')
      client.abort()
      return
    }
    record.failed(cause === '' ? error.code : `${error.code}:${cause}`)
    client.refuse(error, record.requestId)
  }
}
