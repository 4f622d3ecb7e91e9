/** One request whose answer is read ahead as far as it has to be judged, then streamed. */
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { ReadAhead } from '../../http/body/read-ahead.ts'
import type { CallerPresence } from '../port.ts'

export interface ReadAnswer {
  readonly status: number
  /** Name and value in turns, as bytes. */
  readonly headers: readonly Buffer[]
  readonly body: ReadAhead
}

/** True ends the reading ahead. Receives the size so far and the newest chunk. */
export type IsEnough = (size: number, chunk: Buffer) => boolean

class CallerGone extends Error {
  readonly code = 'CALLER_GONE'
}

/** Rejects with an error that has a code, or with one of the connector. */
export function ask(
  pool: Dispatcher,
  request: Dispatcher.DispatchOptions,
  isEnough: IsEnough,
  caller: CallerPresence
): Promise<ReadAnswer> {
  return new Promise((resolve, reject) => {
    const asking = new Asking(isEnough, resolve, reject)
    if (caller.isGone) return reject(new CallerGone())
    caller.whenGone(() => asking.abort())
    pool.dispatch(request, asking)
  })
}

/** The methods from `onConnect` to `onError` are those of undici's dispatch handler. */
class Asking implements Dispatcher.DispatchHandler {
  readonly #isEnough: IsEnough
  readonly #resolve: (answer: ReadAnswer) => void
  readonly #reject: (error: Error) => void
  #abort: ((error?: Error) => void) | null = null
  #resume: () => void = () => {}
  #isGone = false
  #status = 0
  #headers: readonly Buffer[] = []
  #chunks: Buffer[] = []
  #size = 0
  /** The stream to the caller; null while the answer is read ahead. */
  #rest: Readable | null = null

  constructor(isEnough: IsEnough, resolve: (answer: ReadAnswer) => void, reject: (error: Error) => void) {
    this.#isEnough = isEnough
    this.#resolve = resolve
    this.#reject = reject
  }

  /** Has no effect after the end of the answer. */
  abort(): void {
    this.#isGone = true
    const abort = this.#abort
    this.#abort = null
    abort?.()
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    if (this.#isGone) this.abort()
  }

  onHeaders(status: number, headers: Buffer[], resume: () => void): boolean {
    this.#status = status
    this.#headers = headers
    this.#resume = resume
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#rest !== null) return this.#rest.push(chunk)
    this.#chunks.push(chunk)
    this.#size += chunk.length
    return this.#isEnough(this.#size, chunk) ? this.#stream() : true
  }

  #stream(): boolean {
    const head = Buffer.concat(this.#chunks)
    const rest = new Readable({
      read: () => this.#resume(),
      destroy: (error, done) => {
        this.abort()
        done(error)
      }
    })
    this.#rest = rest
    const isFlowing = rest.push(head)
    this.#settle({ head, rest })
    return isFlowing
  }

  onComplete(): void {
    this.#abort = null
    if (this.#rest !== null) this.#rest.push(null)
    else {
      const [first] = this.#chunks
      const head = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
      this.#settle({ head, rest: null })
    }
  }

  onError(error: Error): void {
    this.#abort = null
    if (this.#rest !== null) this.#rest.destroy(error)
    else this.#reject(error)
  }

  #settle(body: ReadAhead): void {
    this.#resolve({ status: this.#status, headers: this.#headers, body })
  }
}
