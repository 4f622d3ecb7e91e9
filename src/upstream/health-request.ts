/** The request of a health check, on a connection of its target's pool. */
import type { Clock, Timer } from '../clock.ts'
import type { HealthCheckConfig } from '../config/config.ts'
import { NO_LINES } from '../http/headers/header-lines.ts'
import type { ResponseHandler, UpstreamConnection } from './connection/messages.ts'
import { codeOf, isStale } from './failures.ts'
import type { Target } from './target.ts'

/** Largest body in bytes that is read to keep the connection. */
const MAX_BODY_BYTES = 64 * 1024

export interface HealthRequest {
  readonly target: Pick<Target, 'pool'>
  readonly config: Pick<HealthCheckConfig, 'path' | 'host' | 'headers' | 'timeout'>
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** Called once, with the status of the answer, or with a word for its absence. */
  readonly done: (result: number | string) => void
}

/** The check times itself. */
const CHECK = {
  method: 'GET',
  body: null,
  own: NO_LINES,
  bodyLength: 0,
  responseTimeoutMs: 0,
  deadlineAt: Number.POSITIVE_INFINITY
}

export function askHealth(request: HealthRequest): void {
  new HealthProbe(request).start()
}

class HealthProbe implements ResponseHandler {
  readonly #request: HealthRequest
  readonly #deadline: Timer
  #connection: UpstreamConnection | null = null
  #isSettled = false
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
    const { path, host } = config
    const headers = Object.entries({ 'user-agent': 'wxgate-health', ...config.headers }).flat()
    this.#connection = target.pool.send({ ...CHECK, path, host, headers }, this)
  }

  onSent(): void {}

  onInformational(): void {}

  onHead(status: number): void {
    this.#settle(status)
  }

  onData(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes > MAX_BODY_BYTES) this.#stop('')
    return true
  }

  onEnd(): void {
    this.#end()
  }

  onError(error: unknown): void {
    // The target closed an idle connection, which says nothing about its health.
    if (isStale(error) && !this.#isSettled && !this.#isRepeat) {
      this.#isRepeat = true
      this.start()
      return
    }
    this.#end()
    this.#settle(codeOf(error) || 'failed')
  }

  /** Ends the request; what it has not told is `reason`. */
  #stop(reason: string): void {
    this.#connection?.abort(this)
    this.#end()
    this.#settle(reason)
  }

  #settle(result: number | string): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#request.done(result)
  }

  #end(): void {
    this.#connection = null
    this.#request.clock.clearTimeout(this.#deadline)
  }
}
