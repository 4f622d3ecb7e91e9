/** Collects the answer of an upstream on a channel route, and passes it on encrypted. */
import type { Clock, Timer } from '../../clock.ts'
import { ApiError } from '../../errors.ts'
import type { HeldBytes } from '../../http/body/byte-budget.ts'
import type { ChannelAnswerResult } from '../../telemetry/channel-metrics.ts'
import type { ResponseHandler, UpstreamConnection } from '../../upstream/connection/messages.ts'
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
  readonly onResult: (result: ChannelAnswerResult) => void
}

/** Passes the answer to `inner` once it is complete. Errors of the gateway stay in clear. */
export class SealedAnswer implements ResponseHandler {
  readonly #inner: ResponseHandler
  readonly #options: SealedAnswerOptions
  readonly #chunks: Buffer[] = []
  #size = 0
  #status = 0
  #head: readonly string[] = []
  #connection: UpstreamConnection | null = null
  #timer: Timer | undefined

  constructor(inner: ResponseHandler, options: SealedAnswerOptions) {
    this.#inner = inner
    this.#options = options
  }

  onSent(connection: UpstreamConnection): void {
    this.#connection = connection
    this.#inner.onSent(connection)
  }

  onInformational(status: number, head: string[]): void {
    this.#inner.onInformational(status, head)
  }

  onHead(status: number, head: string[]): void {
    this.#status = status
    this.#head = head
    const { clock, idleMs } = this.#options
    this.#timer = clock.setTimeout(() => this.#connection?.fail(this, UPSTREAM_TIMEOUT), idleMs)
    this.#timer.unref()
    // No body can follow.
    if (status === 204 || status === 304) return
    const encoding = headerValue(head, 'content-encoding')
    if (encoding !== '' && encoding.toLowerCase() !== 'identity') this.#refuse(ENCODED)
    if (/^text\/event-stream\b/i.test(headerValue(head, 'content-type'))) this.#refuse(STREAM)
  }

  onData(chunk: Buffer, isBorrowed: boolean): boolean {
    const { limit, held } = this.#options
    this.#timer?.refresh()
    this.#size += chunk.length
    if (this.#size > limit) this.#refuse(TOO_LARGE)
    if (!held.hold(COPIES * this.#size)) this.#refuse(FULL)
    this.#chunks.push(isBorrowed ? Buffer.from(chunk) : chunk)
    return true
  }

  onEnd(): void {
    this.#options.clock.clearTimeout(this.#timer)
    const { key, version, requestNonce, clock, onResult } = this.#options
    const about = { version, time: clock.now(), place: [String(this.#status), requestNonce] }
    const content = this.#hasContent ? this.#content() : null
    const { header, body } = sealMessage('response', key, about, content)
    onResult('sealed')
    const head = withoutRemoved(this.#head)
    head.push('Wxgate-Channel', header, 'Cache-Control', 'no-store')
    if (content !== null) head.push('Content-Type', 'application/octet-stream', 'Content-Length', String(body.length))
    this.#inner.onHead(this.#status, head)
    if (content !== null) this.#inner.onData(body, false)
    this.#inner.onEnd()
  }

  onError(error: Error): void {
    this.#options.clock.clearTimeout(this.#timer)
    this.#inner.onError(error)
  }

  #refuse(error: ApiError): never {
    this.#options.onResult('refused')
    throw error
  }

  /** The answer may have a body. */
  get #hasContent(): boolean {
    return this.#status !== 204 && this.#status !== 304 && !this.#options.isHead
  }

  #content(): Content {
    return { type: headerValue(this.#head, 'content-type'), body: Buffer.concat(this.#chunks) }
  }
}

/** The empty text without the header, and for a value that cannot be carried. */
function headerValue(head: readonly string[], name: string): string {
  for (let index = 0; index + 1 < head.length; index += 2) {
    const value = head[index + 1] ?? ''
    if (head[index]?.toLowerCase() === name) return /^[\x20-\x7e]{0,256}$/.test(value) ? value : ''
  }
  return ''
}

function withoutRemoved(head: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < head.length; index += 2) {
    const [name, value] = [head[index], head[index + 1]]
    if (name !== undefined && value !== undefined && !REMOVED.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}
