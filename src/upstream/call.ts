/** A small call of the gateway to an upstream: JSON in, JSON out, within a deadline and a size
 *  limit. */
import type { Dispatcher } from 'undici'
import type { Clock, Timer } from '../clock.ts'
import type { Asker, Lease } from './attempts.ts'
import { codeOf } from './failures.ts'
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
}

export interface UpstreamAnswer {
  readonly status: number
  /** The body. */
  readonly text: string
  /** Undefined for an empty body, null for one that is not JSON. */
  readonly json: unknown
}

/** The reason for a missing answer. `reason` is a word for the log: it names no address and
 *  holds no data. */
export class CallFailure extends Error {
  readonly reason: string
  /** Of an answer that was too large; null without a whole answer. */
  readonly status: number | null
  constructor(reason: string, status: number | null = null) {
    super(reason)
    this.name = 'CallFailure'
    this.reason = reason
    this.status = status
  }
}

/** Rejects with a CallFailure. Only a connection that failed to open is tried again: after
 *  anything else the service may have acted. */
export function callUpstream(
  upstream: Upstream,
  clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
  call: UpstreamCall
): Promise<UpstreamAnswer> {
  return new Promise((resolve, reject) => new JsonCall(upstream, clock, call, { resolve, reject }).start())
}

interface Settle {
  resolve(answer: UpstreamAnswer): void
  reject(failure: CallFailure): void
}

/** The methods from `onConnect` to `onError` are those of undici's dispatch handler. */
class JsonCall implements Dispatcher.DispatchHandler, Asker {
  readonly #upstream: Upstream
  readonly #lease: Lease
  readonly #clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly #call: UpstreamCall
  readonly #settle: Settle
  readonly #deadline: Timer
  #isOver = false
  #wasSent = false
  #abort: ((error?: Error) => void) | null = null
  #status = 0
  #chunks: Buffer[] = []
  #size = 0

  constructor(
    upstream: Upstream,
    clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>,
    call: UpstreamCall,
    settle: Settle
  ) {
    this.#upstream = upstream
    this.#lease = upstream.attempts({ key: call.key, method: 'POST', isReplayable: false })
    this.#clock = clock
    this.#call = call
    this.#settle = settle
    this.#deadline = clock.setTimeout(() => this.#fail('timeout'), call.timeoutMs)
  }

  start(): void {
    if (this.#isOver) return
    const target = this.#lease.next()
    if (target === null) this.#lease.wait(this)
    else this.onTarget(target)
  }

  onNoTarget(): void {
    this.#fail('no target')
  }

  onTarget(target: Target): void {
    this.#wasSent = false
    const { headers: fixed, host } = this.#upstream.config
    const headers = {
      accept: 'application/json',
      ...this.#call.headers,
      ...fixed,
      'content-type': 'application/json',
      ...(host === 'target' || host === 'client' ? {} : { host })
    }
    const { path, json: body } = this.#call
    target.pool.dispatch({ method: 'POST', path, headers, body, headersTimeout: 0 }, this)
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#wasSent = true
    this.#abort = abort
    if (this.#isOver) abort()
  }

  onHeaders(status: number): boolean {
    this.#status = status
    if (status >= 200) this.#lease.answered(status)
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (this.#size > this.#call.maxBytes) this.#fail('the answer is too large', this.#status)
    else this.#chunks.push(chunk)
    return true
  }

  onComplete(): void {
    this.#lease.done()
    if (this.#isOver) return
    this.#end()
    const text = Buffer.concat(this.#chunks).toString('utf8')
    this.#settle.resolve({ status: this.#status, text, json: parse(text) })
  }

  onError(error: Error): void {
    this.#abort = null
    if (this.#isOver) this.#lease.done()
    // undici may be active further up this stack.
    else if (this.#lease.failed(error, this.#wasSent)) queueMicrotask(() => this.start())
    else this.#fail(codeOf(error) || 'no connection')
  }

  #fail(reason: string, status: number | null = null): void {
    if (this.#isOver) return
    this.#end()
    this.#settle.reject(new CallFailure(reason, status))
    this.#abort?.()
  }

  #end(): void {
    this.#isOver = true
    this.#lease.stopWaiting()
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
