/** One proxied request: it is dispatched to a target, and what comes back is written straight to the client. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ApiError } from '../errors.ts'
import { breakOff, lingerOnClose, sendProblem } from '../http/answer/send-problem.ts'
import { RequestBody } from '../http/body/request-body.ts'
import { rewriteLocation } from '../http/headers/location.ts'
import { isEventStream } from '../http/headers/response-headers.ts'
import type { UnderWay } from '../http/request.ts'
import { codeOf, isNotConnected, isReset, toApiError } from '../upstream/failures.ts'
import { mayRetry, type RetryCause } from '../upstream/retries.ts'
import { avoid, type Target } from '../upstream/upstreams.ts'
import type { ExchangeOptions } from './exchange-options.ts'

const NO_TARGET = new ApiError(
  'upstream_unavailable',
  'No target of the business service can be used. Try again shortly.'
)
const BAD_HEAD = new ApiError('upstream_invalid', 'The business service gave a response that is not valid HTTP.')
const TOO_SLOW = new ApiError('upstream_timeout', 'The business service did not answer in time.')
/** Ends one try so that another can follow; never reaches a client. */
const ASK_ANOTHER = new Error('the answer is one to try again after')

/** Bodies up to this many bytes leave together with their head. */
const ONE_WRITE = 16 * 1024

/** The methods without `Request` in their names are those of undici's dispatch handler. */
export class Exchange implements Dispatcher.DispatchHandler, UnderWay {
  readonly #options: ExchangeOptions
  #target: Target | null = null
  #tried: Target[] | null = null
  #retries = 0
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #head: string[] | null = null
  #status = 0
  #firstChunk: Buffer | null = null
  #isOver = false
  #body: RequestBody | null = null
  #ownBody: Buffer | Readable | null = null
  #isPaused = false
  /** While a response goes on beyond what came at once: what the upstream still has time for. */
  #timer: NodeJS.Timeout | undefined

  constructor(options: ExchangeOptions) {
    this.#options = options
    options.req.underWay = this
  }

  start(): void {
    // The client may have left while something had to be looked up first.
    if (this.#isOver) return
    const { balanceKey, head, req, request, route } = this.#options
    const { upstream, bodyLimits } = route.plan
    const target = upstream.pick(balanceKey, this.#tried)
    if (!target) {
      this.#fail(NO_TARGET)
      return
    }
    this.#target = target
    target.inFlight++
    request.record.attempted(target.origin.host)
    if (head.hasBody && this.#ownBody === null) this.#body = new RequestBody(req, bodyLimits)
    try {
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
    } catch (error) {
      this.onError(error instanceof Error ? error : new Error('dispatch failed'))
    }
  }

  /** Starts with another body than the client's. A stream is sent once. */
  startWith(body: Buffer | Readable): void {
    this.#ownBody = body
    this.start()
  }

  /** Instead of starting. */
  refuse(error: ApiError): void {
    this.#options.request.record.refused(error.code)
    this.#fail(error)
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#isOver) abort()
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) {
      this.#onInformational(status)
      return true
    }
    this.#clearTimer()
    if (status >= 502 && status <= 504 && this.#mayRetry(String(status) as RetryCause)) throw ASK_ANOTHER
    const { request, responseHeaders, route, flusher } = this.#options
    const { upstream } = route.plan
    request.record.answered()
    const head = responseHeaders.build(raw, status, route.responseHeaders)
    if (head === null) throw BAD_HEAD
    if (status === 201 || (status >= 300 && status < 400)) rewriteLocation(head, upstream.targets, route.stripPrefix)
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
    if (this.#isOver) return
    const { req, res } = this.#options
    this.#settle()
    if (this.#head !== null) this.#writeHead()
    const chunk = this.#firstChunk
    // The answer came before the whole request, whose rest is dropped.
    if (!req.complete) lingerOnClose(req.socket)
    if (chunk === null) res.end()
    // Node sends a head and a string as one, a head and a buffer as two. Latin-1 gives every byte back as it was.
    else if (chunk.length <= ONE_WRITE) res.end(chunk.toString('latin1'), 'latin1')
    else res.end(chunk)
  }

  /** A 304 may tell the length of what it does not bring (RFC 9110, section 8.6). undici takes that for a broken answer,
   *  but by then it is the client's. */
  #endWithoutBody(): void {
    this.onComplete()
    this.#isOver = true
  }

  onError(error: Error): void {
    const target = this.#target
    const hasStarted = this.#head !== null || this.#options.res.headersSent
    this.#settle()
    if (target !== null) {
      const isUnreached = isNotConnected(error)
      if (isUnreached) avoid(target)
      const cause = isUnreached ? 'connect' : 'reset'
      const mayRetry = (isUnreached || isReset(error)) && !hasStarted && this.#mayRetry(cause)
      if (mayRetry || error === ASK_ANOTHER) {
        this.#retry(target)
        return
      }
    }
    this.#fail(toApiError(error), error)
  }

  /** Called by the flusher: what is there goes out now. */
  flush(): void {
    if (this.#head === null || this.#isOver) return
    const { res } = this.#options
    if (res.destroyed) return
    // An event stream may be silent for as long as it likes.
    if (!isEventStream(this.#head)) this.#setTimer(this.#options.route.plan.upstream.config.timeouts.idle)
    try {
      this.#writeHead()
    } catch (error) {
      // Called by a timer: whatever Node has against the head, it must not end the process.
      this.#stop(BAD_HEAD, error)
      return
    }
    const chunk = this.#firstChunk
    this.#firstChunk = null
    if (chunk === null) res.flushHeaders()
    // The first chunk was accepted before it was written: where it is one too many, at most one more follows it.
    else this.#write(chunk)
  }

  get #responseTimeout(): number {
    const { route } = this.#options
    return route.timeout ?? route.plan.upstream.config.timeouts.response
  }

  /** Each 1xx gives undici's deadline a new start; ours is set by the first one, and then stands. */
  #onInformational(status: number): void {
    // Nobody asked for another protocol.
    if (status === 101) throw BAD_HEAD
    if (this.#timer === undefined) this.#setTimer(this.#responseTimeout)
  }

  #setTimer(ms: number): void {
    this.#clearTimer()
    this.#timer = setTimeout(() => {
      // Waiting for the client is not the upstream's fault.
      if (this.#isPaused) this.#timer?.refresh()
      else this.#stop(TOO_SLOW)
    }, ms)
  }

  #clearTimer(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Ends the upstream request from our side; onError does the rest. */
  #stop(error: ApiError, cause?: unknown): void {
    if (this.#abort) this.#abort(error)
    else this.#fail(error, cause instanceof Error ? cause : undefined)
  }

  #writeHead(): void {
    const { res, req, lifecycle } = this.#options
    const head = this.#head ?? []
    this.#head = null
    // A request whose body will not be read to its end, or a gateway about to leave, is the connection's last.
    if (lifecycle.isDraining || !req.complete) head.push('connection', 'close')
    res.writeHead(this.#status, head)
  }

  /** False when the client is slower than the upstream; reading stops until it has caught up. A client that never does
   *  is given up by the listener. */
  #write(chunk: Buffer): boolean {
    const { res } = this.#options
    if (res.write(chunk)) return true
    if (this.#isPaused) return false
    this.#isPaused = true
    res.once('drain', () => {
      this.#isPaused = false
      this.#resume?.()
    })
    return false
  }

  #mayRetry(cause: RetryCause): boolean {
    const { request, route, head } = this.#options
    if (this.#isOver || this.#ownBody instanceof Readable) return false
    return mayRetry(route.plan.upstream.config.retries, cause, this.#retries, request.method, head.hasBody)
  }

  #retry(target: Target): void {
    const { upstream } = this.#options.route.plan
    this.#retries++
    const tried = [...(this.#tried ?? []), target]
    // When all were tried the next one may be any of them again.
    this.#tried = tried.length < upstream.targets.length ? tried : null
    this.#body?.destroy()
    // undici's parser may be at work further up this stack, and bears no second one.
    queueMicrotask(() => this.start())
  }

  onClientClose(): void {
    this.#clearTimer()
    if (this.#isOver || this.#options.res.writableFinished) return
    this.#isOver = true
    this.#abort?.()
    this.#body?.destroy()
  }

  #settle(): void {
    if (this.#target) this.#target.inFlight--
    this.#target = null
    this.#abort = null
    this.#clearTimer()
  }

  #fail(error: ApiError, cause?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const { req, res, request } = this.#options
    const { record } = request
    this.#body?.destroy()
    if (res.headersSent) {
      // Half a response must not look like a whole one.
      record.failed('upstream_truncated')
      // HTTP/1.0 knows no chunks.
      if (req.httpVersion === '1.0') breakOff(req.socket)
      res.destroy()
      return
    }
    record.failed(cause === undefined || cause === error ? error.code : `${error.code}:${codeOf(cause)}`)
    sendProblem(req, res, error, record.requestId)
  }
}
