/** A small call of the gateway to an upstream: JSON in, JSON out, within a deadline and a size
 *  limit. */
import { isUtf8 } from 'node:buffer'
import type { Clock, Timer } from '../clock.ts'
import type { ApiError } from '../errors.ts'
import { NO_LINES } from '../http/headers/header-lines.ts'
import type { CallSpan, OpenCallSpan, Tracer } from '../http/tracer.ts'
import type { Asker, Lease } from './attempts.ts'
import type { ResponseHandler, UpstreamConnection } from './connection/messages.ts'
import { codeOf, isOwnFault, UPSTREAM_TIMEOUT } from './failures.ts'
import type { Target } from './target.ts'
import type { Upstream } from './upstreams.ts'

export interface UpstreamCall {
  readonly path: string
  /** In addition to the content type. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON, sent by POST. */
  readonly json: string
  /** `balance: hash` keeps calls with the same key on one target. */
  readonly key: string | null
  /** Covers all tries together. */
  readonly timeoutMs: number
  /** Largest answer in bytes. */
  readonly maxBytes: number
  /** Default: the call is no part of a traced request. */
  readonly tracer?: Pick<Tracer, 'calls'>
}

export interface UpstreamAnswer {
  readonly status: number
  /** host:port of the target, for the log only. */
  readonly target: string
  /** The body. Bytes that are not UTF-8 are replaced. */
  readonly text: string
  /** False for a body with such bytes, which a compressed one has. */
  readonly isUtf8: boolean
  /** Undefined for an empty body, null for one that is not JSON. */
  readonly json: unknown
}

/** The reason for a missing answer. `reason` is a word for the log: it names no address and
 *  holds no data. */
export class CallFailure extends Error {
  readonly reason: string
  /** Of an answer that was too large; null without a whole answer. */
  readonly status: number | null
  /** host:port of the last target tried, for the log only; empty for none. */
  readonly target: string
  constructor(reason: string, status: number | null = null, target = '') {
    super(reason)
    this.name = 'CallFailure'
    this.reason = reason
    this.status = status
    this.target = target
  }
}

/** Rejects with a CallFailure, or with the error itself for a fault of the gateway. Only a
 *  connection that failed to open is tried again: after anything else the service may have
 *  acted. */
export function callUpstream(
  upstream: Upstream,
  clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
  call: UpstreamCall
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => new JsonCall(upstream, clock, call, { resolve, reject }).start())
}

/** The call times itself. */
const OWN_DEADLINE = { deadlineAt: Number.POSITIVE_INFINITY }

interface Settle {
  resolve(answer: UpstreamAnswer): void
  reject(error: unknown): void
}

class JsonCall implements ResponseHandler, Asker {
  readonly #upstream: Upstream
  readonly #lease: Lease
  readonly #clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly #call: UpstreamCall
  readonly #settle: Settle
  readonly #deadline: Timer
  #wasSent = false
  /** host:port of the last one tried. */
  #target = ''
  #connection: UpstreamConnection | null = null
  #status = 0
  #chunks: Buffer[] = []
  #size = 0
  readonly #openSpan: OpenCallSpan | null
  #span: CallSpan | null = null
  #tries = 0

  constructor(
    upstream: Upstream,
    clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
    call: UpstreamCall,
    settle: Settle
  ) {
    this.#upstream = upstream
    this.#lease = upstream.attempts({ key: call.key, method: 'POST', isReplayable: false, ...OWN_DEADLINE })
    this.#clock = clock
    this.#call = call
    this.#settle = settle
    this.#deadline = clock.setTimeout(() => this.#onDeadline(), call.timeoutMs)
    this.#openSpan = call.tracer?.calls() ?? null
  }

  start(): void {
    const target = this.#lease.next()
    if (target === null) this.#lease.wait(this)
    else this.onTarget(target)
  }

  onNoTarget(_: ApiError, reason: string): void {
    this.#fail(reason.replaceAll('_', ' '))
  }

  onTarget(target: Target): void {
    this.#wasSent = false
    this.#target = target.host
    const { headers: fixed, host } = this.#upstream.config
    const { path, json } = this.#call
    const body = Buffer.from(json)
    const asked = { method: 'POST', url: target.config.url, path, resends: this.#tries++ }
    this.#span = this.#openSpan?.(asked) ?? null
    const own = this.#span === null ? {} : { traceparent: this.#span.traceparent }
    const headers = { ...this.#call.headers, ...own, ...fixed }
    const named = { accept: 'application/json', ...headers, 'content-type': 'application/json' }
    const request = {
      method: 'POST',
      path,
      host: host === 'target' || host === 'client' ? null : host,
      headers: Object.entries(named).flat(),
      body,
      own: NO_LINES,
      bodyLength: body.length,
      responseTimeoutMs: 0,
      ...OWN_DEADLINE
    }
    this.#connection = target.pool.send(request, this)
  }

  onSent(): void {
    this.#wasSent = true
  }

  onInformational(): void {}

  onHead(status: number): void {
    this.#status = status
    this.#lease.answered(status)
  }

  onData(chunk: Buffer, isBorrowed: boolean): boolean {
    this.#size += chunk.length
    if (this.#size > this.#call.maxBytes) this.#fail('the answer is too large', this.#status)
    else this.#chunks.push(isBorrowed ? Buffer.from(chunk) : chunk)
    return true
  }

  onEnd(): void {
    this.#connection = null
    this.#endSpan('')
    this.#finish()
    const body = Buffer.concat(this.#chunks)
    const text = body.toString('utf8')
    const about = { status: this.#status, target: this.#target }
    this.#settle.resolve({ ...about, text, isUtf8: isUtf8(body), json: parse(text) })
  }

  onError(error: unknown): void {
    this.#connection = null
    const reason = codeOf(error) || 'no connection'
    this.#endSpan(reason)
    if (this.#lease.failed(error, this.#wasSent)) this.start()
    else this.#fail(isOwnFault(error) ? error : reason)
  }

  #onDeadline(): void {
    // The target took the request and was too slow.
    if (this.#connection !== null && this.#wasSent) this.#lease.failed(UPSTREAM_TIMEOUT, true)
    this.#fail('timeout')
  }

  /** @param cause A reason, or a fault of the gateway. */
  #fail(cause: unknown, status: number | null = null): void {
    const failure = typeof cause === 'string' ? new CallFailure(cause, status, this.#target) : null
    this.#connection?.abort(this)
    this.#connection = null
    this.#endSpan(failure === null ? 'failed' : failure.reason)
    this.#finish()
    this.#settle.reject(failure ?? cause)
  }

  #endSpan(failure: string): void {
    this.#span?.ended(this.#status, failure)
    this.#span = null
  }

  #finish(): void {
    this.#lease.stopWaiting()
    this.#lease.done()
    this.#clock.clearTimeout(this.#deadline)
  }
}

function parse(text: string): unknown {
  if (text.trim() === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
