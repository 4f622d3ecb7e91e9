/** One proxied request: dispatched to a target, its response written to the client as it
 *  arrives. */
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Timer } from '../clock.ts'
import type { ApiError } from '../errors.ts'
import type { Drained } from '../http/answer/client-response.ts'
import { RequestBody } from '../http/body/request-body.ts'
import { type PublicPlace, rewriteLocation } from '../http/headers/location.ts'
import { isEventStream } from '../http/headers/response-headers.ts'
import type { UnderWay } from '../http/request.ts'
import type { Lease } from '../upstream/attempts.ts'
import { codeOf, INVALID_RESPONSE, NO_TARGET, toUpstreamError, UPSTREAM_TIMEOUT } from '../upstream/failures.ts'
import type { ExchangeOptions } from './exchange-options.ts'

/** RFC 8297. */
const EARLY_HINTS = 103
/** Ends one try so that another can follow. Never reaches a client. */
const ASK_ANOTHER = new Error('another target is asked')

/** The methods from `onConnect` to `onError` are those of undici's dispatch handler. */
export class Exchange implements Dispatcher.DispatchHandler, UnderWay, Drained {
  readonly #options: ExchangeOptions
  readonly #lease: Lease
  #wasSent = false
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #head: string[] | null = null
  #status = 0
  #firstChunk: Buffer | null = null
  #isOver = false
  #body: RequestBody | null = null
  #ownBody: Buffer | Readable | null = null
  #isPaused = false
  /** Limits the time of the upstream while a response continues after its first bytes. */
  #timer: Timer | undefined

  constructor(options: ExchangeOptions) {
    const { route, balanceKey: key, request, head, req } = options
    this.#options = options
    this.#lease = route.plan.upstream.attempts({ key, method: request.method, isReplayable: !head.hasBody })
    req.underWay = this
  }

  start(): void {
    // The client may have disconnected during an asynchronous step before.
    if (this.#isOver) return
    const { head, req, request, route } = this.#options
    const target = this.#lease.next()
    if (!target) {
      this.#fail(NO_TARGET)
      return
    }
    this.#wasSent = false
    request.record.attempted(target.origin.host)
    if (head.hasBody && this.#ownBody === null) this.#body = new RequestBody(req, route.plan.bodyLimits)
    target.pool.dispatch(
      {
        path: head.path,
        method: request.method as Dispatcher.HttpMethod,
        headers: head.headers,
        body: this.#ownBody ?? this.#body,
        headersTimeout: this.#responseTimeout
      },
      this
    )
  }

  /** Starts with another body than the client's. */
  startWith(body: Buffer | Readable): void {
    this.#ownBody = body
    this.start()
  }

  /** Replaces the start. */
  refuse(error: ApiError): void {
    this.#options.request.record.refused(error.code)
    this.#fail(error)
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#wasSent = true
    this.#abort = abort
    if (this.#isOver) abort()
  }

  onResponseStarted(): void {
    this.#lease.began()
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) {
      this.#onInformational(status, raw)
      return true
    }
    this.#clearTimer()
    if (this.#lease.answered(status)) throw ASK_ANOTHER
    const { request, responseHeaders, route, flusher } = this.#options
    request.record.answered()
    const head = responseHeaders.build(raw, status, route.responseHeaders)
    if (head === null) throw INVALID_RESPONSE
    if (status === 201 || (status >= 300 && status < 400)) rewriteLocation(head, this.#place)
    this.#head = head
    this.#status = status
    this.#resume = resume
    if (status === 204 || status === 304) this.#endWithoutBody()
    else flusher.add(this)
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#timer?.refresh()
    if (this.#head !== null) {
      if (this.#firstChunk === null) {
        this.#firstChunk = chunk
        return true
      }
      this.flush()
    }
    return this.#write(chunk)
  }

  onComplete(): void {
    this.#settle()
    this.#lease.done()
    if (this.#isOver) return
    if (this.#head !== null) this.#writeHead()
    this.#options.client.end(this.#firstChunk)
  }

  /** A 304 may state the length of a body that it does not send (RFC 9110, section 8.6). undici
   *  then reports a broken answer, after the response has gone out. */
  #endWithoutBody(): void {
    this.onComplete()
    this.#isOver = true
  }

  onError(error: Error): void {
    this.#settle()
    if (this.#isOver) this.#lease.done()
    else if (error === ASK_ANOTHER || this.#lease.failed(error, this.#wasSent)) this.#retry()
    else this.#fail(toUpstreamError(error, this.#wasSent), error)
  }

  /** Called by the flusher: writes the head and a first chunk. */
  flush(): void {
    const { client, route } = this.#options
    if (this.#head === null || this.#isOver || client.isGone) return
    // An event stream may pause without limit.
    if (!isEventStream(this.#head)) this.#setTimer(route.plan.upstream.config.timeouts.idle)
    try {
      this.#writeHead()
    } catch (error) {
      // The flusher's timer has no error handler.
      this.#stop(INVALID_RESPONSE, error)
      return
    }
    const chunk = this.#firstChunk
    this.#firstChunk = null
    if (chunk === null) client.flush()
    // The first chunk was accepted before it was written. At most one more follows it.
    else this.#write(chunk)
  }

  onDrain(): void {
    this.#isPaused = false
    this.#resume?.()
  }

  onClientClose(): void {
    this.#clearTimer()
    if (this.#isOver || this.#options.client.isFinished) return
    this.#isOver = true
    this.#abort?.()
    this.#body?.destroy()
  }

  get #place(): PublicPlace {
    const { request, route } = this.#options
    const { forwardedHost: clientHost = request.headers.host } = request.headers
    return { targets: route.plan.upstream.targets, stripPrefix: route.stripPrefix, clientHost }
  }

  get #responseTimeout(): number {
    const { route } = this.#options
    return route.timeout ?? route.plan.upstream.config.timeouts.response
  }

  /** Each 1xx restarts undici's deadline. The first one sets a deadline that stays. */
  #onInformational(status: number, raw: Buffer[]): void {
    // The request asked for no other protocol.
    if (status === 101) throw INVALID_RESPONSE
    if (this.#timer === undefined) this.#setTimer(this.#responseTimeout)
    if (status !== EARLY_HINTS || this.#isOver) return
    const { client, responseHeaders, route } = this.#options
    const hints = responseHeaders.build(raw, status, route.responseHeaders)
    if (hints !== null) client.hint(hints)
  }

  #setTimer(ms: number): void {
    this.#clearTimer()
    this.#timer = this.#options.clock.setTimeout(() => {
      // The client is slow, not the upstream.
      if (this.#isPaused) this.#timer?.refresh()
      else this.#stop(UPSTREAM_TIMEOUT)
    }, ms)
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Ends the upstream request; onError does the rest. */
  #stop(error: ApiError, cause?: unknown): void {
    if (this.#abort) this.#abort(error)
    else this.#fail(error, cause instanceof Error ? cause : undefined)
  }

  #writeHead(): void {
    const { client, lifecycle } = this.#options
    const head = this.#head ?? []
    this.#head = null
    if (lifecycle.isDraining) client.last()
    client.head(this.#status, head)
  }

  /** False when the client is slower than the upstream: reading stops until it has caught up.
   *  The listener gives up on a client that never does. */
  #write(chunk: Buffer): boolean {
    if (this.#options.client.write(chunk, this)) return true
    this.#isPaused = true
    return false
  }

  #retry(): void {
    this.#body?.destroy()
    // undici's parser may be active further up this stack and must not be entered again.
    queueMicrotask(() => this.start())
  }

  #settle(): void {
    this.#abort = null
    this.#clearTimer()
  }

  #fail(error: ApiError, cause?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const { client, request } = this.#options
    const { record } = request
    this.#body?.destroy()
    if (client.hasBegun) {
      record.failed('upstream_truncated')
      client.abort()
      return
    }
    record.failed(cause === undefined || cause === error ? error.code : `${error.code}:${codeOf(cause)}`)
    client.refuse(error, record.requestId)
  }
}
