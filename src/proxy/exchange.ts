/** One proxied request: dispatched to a target, its response written to the client as it
 *  arrives. */
import type { Dispatcher } from 'undici'
import type { Timer } from '../clock.ts'
import type { ApiError } from '../errors.ts'
import type { Drained } from '../http/answer/client-response.ts'
import { RequestBody } from '../http/body/request-body.ts'
import type { UnderWay } from '../http/request.ts'
import type { Asker, Lease } from '../upstream/attempts.ts'
import { codeOf, INVALID_RESPONSE, isOwnFault, toUpstreamError, UPSTREAM_TIMEOUT } from '../upstream/failures.ts'
import type { Target } from '../upstream/target.ts'
import { createOpenBody } from './event-stream.ts'
import type { ExchangeOptions } from './exchange-options.ts'
import type { OpenBody } from './open-body.ts'
import { buildResponseHead } from './response-head.ts'
import {
  type AnswerTransform,
  type ForwardedBody,
  type TransformedExchange,
  UNCHANGED_BODIES
} from './transforms/transform.ts'

/** RFC 8297. */
const EARLY_HINTS = 103
/** Ends one try so that another can follow. Never reaches a client. */
const ASK_ANOTHER = new Error('another target is asked')

/** The methods from `onConnect` to `onError` are those of undici's dispatch handler. */
export class Exchange implements Dispatcher.DispatchHandler, Asker, UnderWay, Drained {
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
  #ownBody: ForwardedBody | null = null
  #answer: AnswerTransform | null = null
  /** Null until the response continues after its first bytes. */
  #open: OpenBody | null = null
  /** Limits the time of the upstream after an interim response. */
  #timer: Timer | undefined

  constructor(options: ExchangeOptions) {
    const { route, balanceKey: key, request, head, req } = options
    this.#options = options
    this.#lease = route.plan.upstream.attempts({ key, method: request.method, isReplayable: !head.hasBody })
    req.underWay = this
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

  onNoTarget(error: ApiError): void {
    this.#fail(error)
  }

  onTarget(target: Target): void {
    const { head, req, request, route } = this.#options
    this.#wasSent = false
    request.record.attempted(target.host)
    if (head.hasBody && this.#ownBody === null && this.#answer === null)
      this.#body = new RequestBody(req, route.plan.bodyLimits)
    target.pool.dispatch(
      {
        path: head.path,
        method: request.method as Dispatcher.HttpMethod,
        headers: head.host === null ? head.headers : [...head.headers, 'host', head.host],
        body: this.#ownBody ?? this.#body,
        headersTimeout: route.plan.responseTimeoutMs
      },
      this.#answer === null ? this : this.#answer.wrap(this)
    )
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
    this.#close()
    if (this.#lease.answered(status)) throw ASK_ANOTHER
    this.#options.request.record.answered()
    const head = buildResponseHead(raw, status, this.#options)
    if (head === null) throw INVALID_RESPONSE
    this.#head = head
    this.#status = status
    this.#resume = resume
    if (status === 204 || status === 304) this.#endWithoutBody()
    else this.#options.flusher.add(this)
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#head !== null) {
      if (this.#firstChunk === null) {
        this.#firstChunk = chunk
        return true
      }
      this.flush()
    }
    return this.#open === null || this.#open.write(chunk)
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
    else this.#fail(this.#toApiError(error), error)
  }

  /** Called by the flusher: writes the head and a first chunk. */
  flush(): void {
    const { client, clock, live, route } = this.#options
    if (this.#head === null || this.#isOver || client.isGone) return
    const idleMs = route.plan.upstream.config.timeouts.idle
    const deps = { client, drained: this, clock, live, idleMs }
    const onSilence = () => this.#stop(UPSTREAM_TIMEOUT)
    const body = createOpenBody(this.#head, { ...deps, onSilence, onEnd: () => this.#endStream() })
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
    this.#resume?.()
  }

  onClientClose(): void {
    this.#close()
    this.#answer?.release()
    if (this.#isOver || this.#options.client.isFinished) return
    this.#isOver = true
    this.#lease.stopWaiting()
    this.#abort?.()
    this.#body?.destroy()
  }

  /** Each 1xx restarts undici's deadline. The first one sets a deadline that stays. */
  #onInformational(status: number, raw: Buffer[]): void {
    // The request asked for no other protocol.
    if (status === 101) throw INVALID_RESPONSE
    const { client, clock, route } = this.#options
    this.#timer ??= clock.setTimeout(() => this.#stop(UPSTREAM_TIMEOUT), route.plan.responseTimeoutMs)
    if (status !== EARLY_HINTS || this.#isOver) return
    const hints = buildResponseHead(raw, status, this.#options)
    if (hints !== null) client.hint(hints)
  }

  /** Ends the upstream request; onError does the rest. */
  #stop(error: ApiError, cause?: unknown): void {
    if (this.#abort) this.#abort(error)
    else this.#fail(error, cause instanceof Error ? cause : undefined)
  }

  #toApiError(error: unknown): ApiError {
    const { guard, request } = this.#options
    return isOwnFault(error) ? guard.toApiError(error, request.record) : toUpstreamError(error, this.#wasSent)
  }

  #writeHead(): void {
    const { client, lifecycle } = this.#options
    const head = this.#head ?? []
    this.#head = null
    if (lifecycle.isDraining) client.last()
    client.head(this.#status, head)
  }

  /** Ends an event stream in order: to the client it is complete. */
  #endStream(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#close()
    this.#options.client.end(null)
    this.#abort?.()
  }

  /** Stops the timers. */
  #close(): void {
    this.#options.clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#open?.close()
  }

  #retry(): void {
    this.#body?.destroy()
    // undici's parser may be active further up this stack and must not be entered again.
    queueMicrotask(() => this.start())
  }

  #settle(): void {
    this.#abort = null
    this.#close()
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
    const reason = cause === error ? '' : codeOf(cause)
    record.failed(reason === '' ? error.code : `${error.code}:${reason}`)
    client.refuse(error, record.requestId)
  }
}
