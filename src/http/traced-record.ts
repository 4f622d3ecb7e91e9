/** The record of a request with a trace: reports each part of the request as a span when it
 *  ends. */
import type { ErrorCode } from '../errors.ts'
import {
  type GrantReason,
  type RecordedPrincipal,
  type RecordedRoute,
  type RecordedTarget,
  type RecordInit,
  RequestRecord
} from './record.ts'

/** Ids of a request's own span (W3C Trace Context, section 3.2). */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  /** Empty without a parent. */
  readonly parentId: string
  /** `tracestate` as received; empty for none. */
  readonly state: string
  /** Two hexadecimal digits. */
  readonly flags: string
}

export interface RequestOrigin {
  readonly scheme: string
  /** Value of Host. */
  readonly host: string
  readonly peerAddress: string
}

/** A part of a request. Times are those of `performance.now()`. */
export interface SpanTimes {
  readonly spanId: string
  readonly startedAt: number
  readonly endedAt: number
}

export interface AttemptSpan extends SpanTimes {
  /** Of the target. */
  readonly url: string
  /** As sent, with the query. */
  readonly path: string
  readonly method: string
  readonly resends: number
  /** 0 without an answer. */
  readonly status: number
  /** A word, or empty. */
  readonly failure: string
}

export interface StepSpan extends SpanTimes {
  readonly name: string
  readonly failure: string
}

/** Receives the spans of a trace, each when it ends. */
export interface SpanSink {
  requestEnded(record: TracedRecord): void
  /** The caller was accepted or refused. */
  callerJudged(record: TracedRecord, span: SpanTimes): void
  attemptEnded(trace: TraceContext, parentId: string, span: AttemptSpan): void
  stepEnded(trace: TraceContext, parentId: string, span: StepSpan): void
}

/** Cause of a try whose client disconnected. */
const CANCELLED = 'cancelled'
/** Refusals that are about the caller, whatever the route. */
const ABOUT_CALLER = /^(?:token_|session_revoked|app_not_allowed|forbidden)/

interface Attempt {
  readonly spanId: string
  readonly url: string
  readonly path: string
  readonly startedAt: number
  status: number
}

export class TracedRecord extends RequestRecord {
  readonly trace: TraceContext
  readonly origin: RequestOrigin
  /** The template of an own endpoint's path; empty for none. */
  endpoint = ''
  readonly #sink: SpanSink
  readonly #nextSpanId: () => string
  readonly #admittedAt: number
  #isJudged = false
  #isOver = false
  /** Id for the next try. */
  #upstreamSpanId: string
  #attempt: Attempt | null = null

  constructor(
    init: RecordInit,
    trace: TraceContext,
    origin: RequestOrigin,
    { sink, nextSpanId }: { sink: SpanSink; nextSpanId: () => string }
  ) {
    super(init)
    this.trace = trace
    this.origin = origin
    this.#sink = sink
    this.#nextSpanId = nextSpanId
    this.#upstreamSpanId = nextSpanId()
    this.traceparent = traceparentOf(this.trace, this.#upstreamSpanId)
    this.#admittedAt = performance.now()
  }

  override get ownTraceparent(): string {
    return traceparentOf(this.trace, this.trace.spanId)
  }

  newSpanId(): string {
    return this.#nextSpanId()
  }

  override granted(reason: GrantReason, route: RecordedRoute | null, principal: RecordedPrincipal | null): void {
    super.granted(reason, route, principal)
    if (reason !== 'own') this.#judged()
  }

  override identified(principal: RecordedPrincipal): void {
    super.identified(principal)
    this.#judged()
  }

  override refused(code: ErrorCode, route?: RecordedRoute | null): void {
    super.refused(code, route)
    if (this.route !== null || ABOUT_CALLER.test(code)) this.#judged()
  }

  override failed(reason: string): void {
    super.failed(reason)
    this.#endAttempt(reason)
  }

  override attempted(target: RecordedTarget, path: string): void {
    super.attempted(target, path)
    const { url } = target.config
    this.#attempt = { spanId: this.#upstreamSpanId, url, path, startedAt: performance.now(), status: 0 }
  }

  override tryFailed(cause: string): void {
    this.#endAttempt(cause)
    this.#upstreamSpanId = this.#nextSpanId()
    this.traceparent = traceparentOf(this.trace, this.#upstreamSpanId)
  }

  override answered(status: number): void {
    super.answered(status)
    if (this.#attempt !== null) this.#attempt.status = status
  }

  override finished(status: number): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#attempt?.status === 0) this.#endAttempt(this.isGranted ? CANCELLED : this.reason)
    else this.#endAttempt('')
    super.finished(status)
    this.#sink.requestEnded(this)
  }

  #judged(): void {
    if (this.#isJudged) return
    this.#isJudged = true
    const spanId = this.#nextSpanId()
    this.#sink.callerJudged(this, { spanId, startedAt: this.#admittedAt, endedAt: performance.now() })
  }

  #endAttempt(failure: string): void {
    const attempt = this.#attempt
    if (attempt === null) return
    this.#attempt = null
    const { spanId, url, path, startedAt } = attempt
    const status = attempt.status === 0 ? statusIn(failure) : attempt.status
    const ended = { spanId, startedAt, endedAt: performance.now() }
    const asked = { url, path, method: this.method, resends: this.tries - 1 }
    this.#sink.attemptEnded(this.trace, this.trace.spanId, { ...ended, ...asked, status, failure })
  }
}

export function traceparentOf({ traceId, flags }: TraceContext, spanId: string): string {
  return `00-${traceId}-${spanId}-${flags}`
}

/** The status of an answer that led to another try. */
function statusIn(cause: string): number {
  return /^[1-5]\d\d$/.test(cause) ? Number(cause) : 0
}
