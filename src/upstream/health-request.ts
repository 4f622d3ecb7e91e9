/** The request of a health check, on a connection of its target's pool. */
import type { Dispatcher } from 'undici'
import type { Clock, Timer } from '../clock.ts'
import type { HealthCheckConfig } from '../config/config.ts'
import { codeOf, isStale } from './failures.ts'
import type { Target } from './target.ts'

/** Largest body in bytes that is read to keep the connection. */
const MAX_BODY_BYTES = 64 * 1024

export interface HealthRequest {
  readonly target: Pick<Target, 'pool'>
  readonly config: Pick<HealthCheckConfig, 'path' | 'host' | 'timeout'>
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** Called once, with the status of the answer, or with a word for its absence. */
  readonly done: (result: number | string) => void
}

export function askHealth(request: HealthRequest): void {
  new HealthProbe(request).start()
}

/** The methods from `onConnect` to `onError` are those of undici's dispatch handler. */
class HealthProbe implements Dispatcher.DispatchHandler {
  readonly #request: HealthRequest
  readonly #deadline: Timer
  #abort: (() => void) | null = null
  #isSettled = false
  #isOver = false
  #isRepeat = false
  #bytes = 0

  constructor(request: HealthRequest) {
    this.#request = request
    const { clock, config } = request
    this.#deadline = clock.setTimeout(() => this.#stop('timeout'), config.timeout)
    this.#deadline.unref()
  }

  start(): void {
    const { target, config } = this.#request
    const headers = { 'user-agent': 'wxgate-health', ...(config.host === null ? {} : { host: config.host }) }
    target.pool.dispatch({ method: 'GET', path: config.path, headers, headersTimeout: 0 }, this)
  }

  onConnect(abort: () => void): void {
    this.#abort = abort
    if (this.#isOver) abort()
  }

  onHeaders(status: number): boolean {
    if (status >= 200) this.#settle(status)
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_BODY_BYTES) this.#stop('')
    return true
  }

  onComplete(): void {
    this.#end()
  }

  onError(error: Error): void {
    if (this.#isOver) return
    // The target closed an idle connection, which says nothing about its health.
    if (isStale(error) && !this.#isSettled && !this.#isRepeat) {
      this.#isRepeat = true
      queueMicrotask(() => this.start())
      return
    }
    this.#end()
    this.#settle(codeOf(error) || 'failed')
  }

  /** Ends the request; what it has not told is `reason`. */
  #stop(reason: string): void {
    this.#end()
    this.#settle(reason)
    this.#abort?.()
  }

  #settle(result: number | string): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#request.done(result)
  }

  #end(): void {
    this.#isOver = true
    this.#request.clock.clearTimeout(this.#deadline)
  }
}
