/** RequestRecord: the decision about one request and its times. Access log, metrics and traces
 *  read it when the request is over. */
import { performance } from 'node:perf_hooks'
import type { ErrorCode } from '../errors.ts'

export interface RecordedRoute {
  /** As in gateway.yaml. */
  readonly path: string
  /** That of the variant in use. */
  readonly upstream: string
}

export interface RecordedPrincipal {
  readonly appId: string
  readonly userId: string
}

/** Headers by which a client describes itself, as received; empty when they are missing. */
export interface ClientDescription {
  readonly userAgent: string
  readonly referer: string
}

export interface RecordObserver {
  /** Called once per request, after the last byte of the answer or when the client has
   *  disconnected. */
  finished(record: RequestRecord): void
}

/** The reason for granting a request: `token`, `public`, `anonymous` (a route), `own` (an
 *  endpoint of the edge), `service`, `preflight` (answered for a route with `cors`). */
export type GrantReason = 'token' | 'public' | 'anonymous' | 'own' | 'service' | 'preflight'

/** Status of a request whose client disconnected before the answer, as in nginx. */
export const CLIENT_CLOSED_REQUEST = 499

/** A target of an upstream. */
export interface RecordedTarget {
  /** host:port, for the log only. */
  readonly host: string
  /** `url`: scheme, host and port. */
  readonly config: { readonly url: string }
}

export interface RecordInit {
  readonly requestId: string
  /** W3C Trace Context, section 3.2. */
  readonly traceparent: string
  /** Milliseconds of `performance.now()`. */
  readonly startedAt: number
  readonly method: string
  /** Canonical; for a refused target, its path with unsafe characters replaced by "?". */
  readonly path: string
  /** The client itself when a trusted proxy stands between. */
  readonly clientAddress: string
  /** Null: not recorded. */
  readonly client: ClientDescription | null
  readonly observer: RecordObserver
}

/** Each step reports its result by a method; fields are read-only. */
export class RequestRecord {
  readonly requestId: string
  /** Context for the next request to an upstream. */
  traceparent: string
  readonly startedAt: number
  readonly path: string
  readonly clientAddress: string
  readonly client: ClientDescription | null
  readonly #observer: RecordObserver
  #method: string
  #route: RecordedRoute | null = null
  #principal: RecordedPrincipal | null = null
  #reason = ''
  #isGranted = false
  #target = ''
  #tries = 0
  #upstreamMs = -1
  #bytes = 0
  #status = 0
  #ms = 0
  #isFinished = false

  constructor(init: RecordInit) {
    this.requestId = init.requestId
    this.traceparent = init.traceparent
    this.startedAt = init.startedAt
    this.#method = init.method
    this.path = init.path
    this.clientAddress = init.clientAddress
    this.client = init.client
    this.#observer = init.observer
  }

  /** The request may go on, to `route` or to an endpoint of the gateway. */
  granted(reason: GrantReason, route: RecordedRoute | null, principal: RecordedPrincipal | null): void {
    this.#reason = reason
    this.#isGranted = true
    this.#route = route
    this.#principal = principal
  }

  /** The gateway answers with an error instead of the upstream or endpoint. */
  refused(code: ErrorCode, route: RecordedRoute | null = this.#route): void {
    this.#reason = code
    this.#isGranted = false
    this.#route = route
  }

  /** A POST counts as this method. */
  actsAs(method: string): void {
    this.#method = method
  }

  /** A granted request that could not be served. `reason` is an error code, or a code, a ":"
   *  and its cause. */
  failed(reason: string): void {
    this.#reason = reason
  }

  /** The gateway ends an answered request before its upstream does, in order. */
  ended(reason: string): void {
    this.#reason = reason
  }

  /** An endpoint found the principal after the request was granted. */
  identified(principal: RecordedPrincipal): void {
    this.#principal = principal
  }

  /** One try at a target.
   *  @param _path As sent to it, with the query. */
  attempted(target: RecordedTarget, _path: string): void {
    this.#target = target.host
    this.#tries++
  }

  /** The last try failed, and another follows.
   *  @param _cause A status, or a word for the log. */
  tryFailed(_cause: string): void {}

  /** The head of the upstream's final answer arrived. */
  answered(_status: number): void {
    this.#upstreamMs = performance.now() - this.startedAt
  }

  /** Bytes of the answer's body that were written to the client. */
  sent(bytes: number): void {
    this.#bytes += bytes
  }

  /** The answer is over. Only the first call counts. */
  finished(status: number): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#status = status
    this.#ms = performance.now() - this.startedAt
    this.#observer.finished(this)
  }

  /** Context for work that the request leaves behind. */
  get ownTraceparent(): string {
    return this.traceparent
  }

  get method(): string {
    return this.#method
  }

  get route(): RecordedRoute | null {
    return this.#route
  }

  get principal(): RecordedPrincipal | null {
    return this.#principal
  }

  get reason(): string {
    return this.#reason
  }

  get isGranted(): boolean {
    return this.#isGranted
  }

  /** host:port of the last target that was tried; empty when there was none. */
  get target(): string {
    return this.#target
  }

  get tries(): number {
    return this.#tries
  }

  /** Milliseconds to the head of the upstream's answer, or -1. */
  get upstreamMs(): number {
    return this.#upstreamMs
  }

  /** Bytes of the body; 0 for endpoints of the gateway itself. */
  get bytes(): number {
    return this.#bytes
  }

  get status(): number {
    return this.#status
  }

  /** Milliseconds from the first byte to the last. */
  get ms(): number {
    return this.#ms
  }
}
