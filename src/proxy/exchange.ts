/** One proxied request: it is dispatched to a target, and what comes back is written straight to the client. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Lifecycle } from '../lifecycle.ts'
import { codeOf, isNotConnected, isReset, toApiError } from '../upstream/failures.ts'
import { avoid, type Target, type Upstream } from '../upstream/upstreams.ts'
import { rewriteLocation } from './location.ts'
import { BODY_TOO_LARGE, type BodyLimits, RequestBody } from './request-body.ts'
import type { RequestContext } from './request-context.ts'
import type { ResponseHeaders } from './response-headers.ts'
import { sendProblem } from './send-problem.ts'

const NO_TARGET = new ApiError(
  'upstream_unavailable',
  'No target of the business service can be used. Try again shortly.'
)
const BAD_HEAD = new ApiError('upstream_invalid', 'The business service gave a response that is not valid HTTP.')

export interface ExchangeOptions {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly context: RequestContext
  readonly route: RouteConfig
  readonly upstream: Upstream
  /** Path and query as the target receives them. */
  readonly path: string
  /** Name and value in turns. */
  readonly headers: string[]
  readonly hasBody: boolean
  readonly bodyLimits: BodyLimits
  readonly responseHeaders: ResponseHeaders
  readonly flusher: Flusher
  readonly lifecycle: Lifecycle
  /** Milliseconds that a client may leave a response unread. */
  readonly writeIdleTimeout: number
  /** What `hash` keeps on one target. */
  readonly balanceKey: string | null
}

/** Writes out, once the event loop has read all there was, the heads of those responses whose body has not come yet. A
 *  response that came whole leaves in one write instead. */
export interface Flusher {
  add(exchange: Exchange): void
}

export function createFlusher(): Flusher {
  let waiting: Exchange[] = []
  const flush = () => {
    const exchanges = waiting
    waiting = []
    for (const exchange of exchanges) exchange.flush()
  }
  return {
    add(exchange) {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push(exchange)
    }
  }
}

/** The methods without `Request` in their names are those of undici's dispatch handler. */
export class Exchange implements Dispatcher.DispatchHandler {
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
  #writeTimer: NodeJS.Timeout | undefined

  constructor(options: ExchangeOptions) {
    this.#options = options
    options.context.onClose = () => this.#onClientClose()
  }

  start(): void {
    const { upstream, balanceKey, route, path, headers, req, hasBody, bodyLimits } = this.#options
    const target = upstream.pick(balanceKey, this.#tried)
    if (!target) {
      this.#fail(NO_TARGET)
      return
    }
    this.#target = target
    target.inFlight++
    if (hasBody) this.#body = new RequestBody(req, bodyLimits)
    try {
      target.pool.dispatch(
        {
          path,
          method: req.method as Dispatcher.HttpMethod,
          headers,
          body: this.#body,
          headersTimeout: route.timeout ?? upstream.config.timeouts.response
        },
        this
      )
    } catch (error) {
      this.onError(error instanceof Error ? error : new Error('dispatch failed'))
    }
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#isOver) abort()
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200) return true
    const { context, responseHeaders, route, flusher } = this.#options
    context.upstreamTime = performance.now() - context.startedAt
    const head = responseHeaders.build(raw, status, route.responseHeaders)
    if (head === null) throw BAD_HEAD
    if (status >= 300 && status < 400 && this.#target) rewriteLocation(head, this.#target.origin, route.stripPrefix)
    this.#head = head
    this.#status = status
    this.#resume = resume
    flusher.add(this)
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
    return this.#write(chunk)
  }

  onComplete(): void {
    const { res } = this.#options
    this.#settle()
    if (this.#head !== null) this.#writeHead()
    if (this.#firstChunk !== null) res.end(this.#firstChunk)
    else res.end()
    // The answer came before the whole request: nobody will read the rest of it.
    if (!this.#options.req.complete) this.#options.req.resume()
  }

  onError(error: Error): void {
    const target = this.#target
    const hasStarted = this.#head !== null || this.#options.res.headersSent
    this.#settle()
    if (target && isNotConnected(error)) {
      avoid(target)
      if (!hasStarted && this.#retry(target, 'connect')) return
    } else if (target && isReset(error) && !hasStarted && !this.#options.hasBody && this.#retry(target, 'reset')) {
      return
    }
    this.#fail(toApiError(error), error)
  }

  /** Called by the flusher: what is there goes out now. */
  flush(): void {
    if (this.#head === null || this.#isOver) return
    const { res } = this.#options
    if (res.destroyed) return
    this.#writeHead()
    const chunk = this.#firstChunk
    this.#firstChunk = null
    if (chunk === null) res.flushHeaders()
    // The first chunk was accepted before it was written: where it is one too many, at most one more follows it.
    else this.#write(chunk)
  }

  #writeHead(): void {
    const { res, req, hasBody, lifecycle } = this.#options
    const head = this.#head ?? []
    this.#head = null
    // A request whose body will not be read to its end, or a gateway about to leave, is the connection's last.
    if (lifecycle.isDraining || (hasBody && !req.complete)) head.push('connection', 'close')
    res.writeHead(this.#status, head)
  }

  /** False when the client is slower than the upstream; reading stops until it has caught up. */
  #write(chunk: Buffer): boolean {
    const { res, writeIdleTimeout } = this.#options
    if (res.write(chunk)) return true
    this.#writeTimer ??= setTimeout(() => res.destroy(), writeIdleTimeout)
    this.#writeTimer.refresh()
    res.once('drain', () => {
      clearTimeout(this.#writeTimer)
      this.#writeTimer = undefined
      this.#resume?.()
    })
    return false
  }

  #retry(target: Target, cause: 'connect' | 'reset'): boolean {
    const { upstream, context } = this.#options
    const { attempts, on } = upstream.config.retries
    if (this.#isOver || this.#retries >= attempts || !on.includes(cause)) return false
    if (cause === 'reset' && !isIdempotent(context.method)) return false
    this.#retries++
    const tried = [...(this.#tried ?? []), target]
    // When all were tried the next one may be any of them again.
    this.#tried = tried.length < upstream.targets.length ? tried : null
    this.#body?.destroy()
    this.start()
    return true
  }

  #onClientClose(): void {
    const { res } = this.#options
    clearTimeout(this.#writeTimer)
    if (this.#isOver || res.writableFinished) return
    this.#isOver = true
    this.#abort?.()
    this.#body?.destroy()
  }

  #settle(): void {
    if (this.#target) this.#target.inFlight--
    this.#target = null
    this.#abort = null
  }

  #fail(error: ApiError, cause?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const { req, res, context } = this.#options
    this.#body?.destroy()
    if (res.headersSent) {
      // Half a response must not look like a whole one.
      context.reason = 'upstream_truncated'
      res.destroy()
      return
    }
    context.reason = cause === undefined || error === BODY_TOO_LARGE ? error.code : `${error.code}:${codeOf(cause)}`
    sendProblem(req, res, error, context)
  }
}

/** RFC 9110, section 9.2.2. */
function isIdempotent(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PUT' || method === 'DELETE'
}
