/** Collects the answer of an upstream on a channel route, and passes it on encrypted. */
import type { Dispatcher } from 'undici'
import type { Clock, Timer } from '../../clock.ts'
import { ApiError } from '../../errors.ts'
import type { HeldBytes } from '../../http/body/byte-budget.ts'
import { UPSTREAM_TIMEOUT } from '../../upstream/failures.ts'
import { type Content, sealMessage } from './channel-format.ts'

/** The answer is held in clear and encrypted. */
const COPIES = 2

const TOO_LARGE = new ApiError('upstream_invalid', 'The answer is larger than the bodyLimit of an encrypted route.')
const ENCODED = new ApiError('upstream_invalid', 'The answer is compressed. An encrypted route needs it as it is.')
const STREAM = new ApiError('upstream_invalid', 'An encrypted route cannot carry an event stream.')
const FULL = new ApiError('overloaded', 'Too many encrypted bodies are under way. Try again shortly.')

/** Headers that describe the body in clear, or let a cache keep the encrypted one. */
const REMOVED = new Set([
  'wxgate-channel',
  'content-type',
  'content-length',
  'content-encoding',
  'transfer-encoding',
  'accept-ranges',
  'content-md5',
  'digest',
  'content-digest',
  'repr-digest',
  'cache-control',
  'expires',
  'pragma'
])

export interface SealedAnswerOptions {
  /** The key that opened the request, and its version. */
  readonly key: Buffer
  readonly version: number
  readonly requestNonce: string
  /** The answer to HEAD has no body. */
  readonly isHead: boolean
  /** Longest answer, in bytes. */
  readonly limit: number
  /** Longest pause of the upstream, in milliseconds. */
  readonly idleMs: number
  readonly held: HeldBytes
  readonly clock: Pick<Clock, 'now' | 'setTimeout' | 'clearTimeout'>
}

/** Passes the answer to `inner` once it is complete. Errors of the gateway stay in clear. */
export class SealedAnswer implements Dispatcher.DispatchHandler {
  readonly #inner: Dispatcher.DispatchHandler
  readonly #options: SealedAnswerOptions
  readonly #chunks: Buffer[] = []
  #size = 0
  #status = 0
  #raw: readonly Buffer[] = []
  #resume: () => void = () => {}
  #abort: (error?: Error) => void = () => {}
  #timer: Timer | undefined

  constructor(inner: Dispatcher.DispatchHandler, options: SealedAnswerOptions) {
    this.#inner = inner
    this.#options = options
  }

  onConnect(abort: (error?: Error) => void): void {
    this.#abort = abort
    this.#inner.onConnect?.(abort)
  }

  onResponseStarted(): void {
    this.#inner.onResponseStarted?.()
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void, text: string): boolean {
    if (status < 200) return this.#inner.onHeaders?.(status, raw, resume, text) ?? true
    this.#status = status
    this.#raw = raw
    this.#resume = resume
    // No body can follow. The exchange ends these answers with their head.
    if (status === 204 || status === 304) return this.#pass(null)
    const encoding = headerValue(raw, 'content-encoding')
    if (encoding !== '' && encoding.toLowerCase() !== 'identity') throw ENCODED
    if (/^text\/event-stream\b/i.test(headerValue(raw, 'content-type'))) throw STREAM
    this.#timer = this.#options.clock.setTimeout(() => this.#abort(UPSTREAM_TIMEOUT), this.#options.idleMs)
    return true
  }

  onData(chunk: Buffer): boolean {
    const { limit, held } = this.#options
    this.#timer?.refresh()
    this.#size += chunk.length
    if (this.#size > limit) throw TOO_LARGE
    if (!held.hold(COPIES * this.#size)) throw FULL
    this.#chunks.push(chunk)
    return true
  }

  onComplete(trailers: string[] | null): void {
    this.#options.clock.clearTimeout(this.#timer)
    if (this.#status !== 204 && this.#status !== 304) {
      const type = headerValue(this.#raw, 'content-type')
      this.#pass(this.#options.isHead ? null : { type, body: Buffer.concat(this.#chunks) })
    }
    this.#inner.onComplete?.(trailers)
  }

  onError(error: Error): void {
    this.#options.clock.clearTimeout(this.#timer)
    this.#inner.onError?.(error)
  }

  #pass(content: Content | null): boolean {
    const { key, version, requestNonce, clock } = this.#options
    const about = { version, time: clock.now(), place: [String(this.#status), requestNonce] }
    const { header, body } = sealMessage('response', key, about, content)
    const head = withoutRemoved(this.#raw)
    const add = (name: string, value: string) => void head.push(Buffer.from(name), Buffer.from(value))
    add('Wxgate-Channel', header)
    add('Cache-Control', 'no-store')
    if (content !== null) {
      add('Content-Type', 'application/octet-stream')
      add('Content-Length', String(body.length))
    }
    const isReady = this.#inner.onHeaders?.(this.#status, head, this.#resume, '') ?? true
    return content === null ? isReady : (this.#inner.onData?.(body) ?? true)
  }
}

/** The empty text without the header, and for a value that cannot be carried. */
function headerValue(raw: readonly Buffer[], name: string): string {
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const value = raw[index + 1]?.toString('latin1') ?? ''
    if (raw[index]?.toString('latin1').toLowerCase() === name) return /^[\x20-\x7e]{0,256}$/.test(value) ? value : ''
  }
  return ''
}

function withoutRemoved(raw: readonly Buffer[]): Buffer[] {
  const kept: Buffer[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name, value] = [raw[index], raw[index + 1]]
    if (name && value && !REMOVED.has(name.toString('latin1').toLowerCase())) kept.push(name, value)
  }
  return kept
}
