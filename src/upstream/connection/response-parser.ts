/** Reads one HTTP/1.1 response after another from a connection, strictly (RFC 9112). Accepts
 *  nothing that llhttp, the parser of Node, refuses in its strict mode. */
import { BlockReader } from './block-reader.ts'
import { ChunkedBody } from './chunked-body.ts'
import { Framing } from './framing.ts'
import { ResponseFault } from './response-fault.ts'

/** Receives the parts of one response. Methods may call `parser.stop()`. */
export interface ResponseSink {
  /** A 1xx other than 101.
   *  @param head Name and value in turns, Latin-1, without blanks around values. */
  onInformational(status: number, head: string[]): void
  /** The final head, or a 101 that the request asked for. */
  onHead(status: number, head: string[]): void
  /** @param chunk A view into the bytes given to `read`, until that returns. Never empty. Bytes in
   *  front of its end are not read again. */
  onBody(chunk: Buffer): void
  /** The message is complete.
   *  @param isReusable The connection may carry another request: it stays open, and no byte
   *  follows or may follow the message. Never after a 101: the rest is the tunnel's. */
  onComplete(isReusable: boolean): void
}

/** Interim responses before the final one. They cost the client a head each. */
const MAX_INTERIM = 4_096
const MAX_INTERIM_BYTES = 256 * 1024

type State = 'head' | 'length' | 'chunked' | 'until-close' | 'over'

/** One per connection. */
export class ResponseParser {
  readonly #sink: ResponseSink
  readonly #block = new BlockReader()
  readonly #framing = new Framing()
  readonly #chunked = new ChunkedBody(this.#block)
  #state: State = 'over'
  #isHeadRequest = false
  #isUpgrade = false
  #hasBegun = false
  #isHttp10 = false
  /** Bytes of a body with a length that have not come. */
  #leftBytes = 0
  #interimCount = 0
  #interimBytes = 0

  constructor(sink: ResponseSink) {
    this.#sink = sink
  }

  /** A byte of the current response has come. */
  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Seconds of `Keep-Alive: timeout=N` of the current response, or -1. */
  get keepAliveSeconds(): number {
    return this.#framing.keepAliveSeconds
  }

  /** Call before the bytes of each response.
   *  @param isUpgrade The request asked for another protocol: 101 is a final status. */
  expect(method: string, isUpgrade: boolean): void {
    this.#isHeadRequest = method === 'HEAD'
    this.#isUpgrade = isUpgrade
    this.#hasBegun = false
    this.#interimCount = 0
    this.#interimBytes = 0
    this.#framing.clear()
    this.#block.startHead()
    this.#state = 'head'
  }

  /** Drops the rest of the response: no further call of the sink. */
  stop(): void {
    this.#state = 'over'
  }

  /** Copies bytes of an incomplete head only: the memory of `chunk` may be used again.
   *  @returns The offset after the last byte of the response.
   *  @throws ResponseFault Destroy the connection. */
  read(chunk: Buffer): number {
    if (chunk.length > 0 && this.#state !== 'over') this.#hasBegun = true
    try {
      return this.#read(chunk)
    } catch (error) {
      this.#state = 'over'
      throw error
    }
  }

  /** The server ended its side. A body without a length is complete now.
   *  @throws ResponseFault The response is not complete: HTTP_INCOMPLETE, or HTTP_CLOSED before
   *  its first byte. */
  end(): void {
    const state = this.#state
    this.#state = 'over'
    if (state === 'over') return
    if (state === 'until-close') this.#sink.onComplete(false)
    else if (this.#hasBegun) throw new ResponseFault('HTTP_INCOMPLETE', 'a response breaks off')
    else throw new ResponseFault('HTTP_CLOSED', 'the connection closed without a response')
  }

  #read(chunk: Buffer): number {
    let at = 0
    while (at < chunk.length) {
      switch (this.#state) {
        case 'head':
          at = this.#readHead(chunk, at)
          break
        case 'length':
          at = this.#readLength(chunk, at)
          break
        case 'chunked':
          at = this.#readChunked(chunk, at)
          break
        case 'until-close':
          this.#sink.onBody(at === 0 ? chunk : chunk.subarray(at))
          return chunk.length
        default:
          return at
      }
    }
    return at
  }

  #readHead(chunk: Buffer, from: number): number {
    const at = this.#block.read(chunk, from)
    if (at < 0) return chunk.length
    const { text } = this.#block
    // scanStatusLine has checked both.
    const status = Number(text.slice(9, 12))
    this.#isHttp10 = text.charCodeAt(7) === 0x30
    const head = this.#readFields()
    this.#block.release()
    if (status < 200 && status !== 101) {
      this.#noteInterim(text.length)
      this.#block.startHead()
      this.#sink.onInformational(status, head)
      return at
    }
    if (status === 101 && !this.#isUpgrade)
      throw new ResponseFault('HTTP_UPGRADE', 'a response switches to a protocol that was not asked for')
    return this.#startBody(chunk, at, status, head)
  }

  #readFields(): string[] {
    const { lines, text } = this.#block
    const framing = this.#framing
    const { count } = lines
    const head = new Array<string>(count * 2)
    framing.clear()
    for (let index = 0; index < count; index++) {
      const name = lines.name(text, index)
      const value = lines.value(text, index)
      head[index * 2] = name
      head[index * 2 + 1] = value
      if (framing.note(name, value) && lines.hasTabAfter(text, index))
        throw new ResponseFault('HTTP_FRAMING', 'a TAB follows the framing of a response')
    }
    framing.check(this.#isHttp10)
    return head
  }

  #noteInterim(bytes: number): void {
    if (!this.#framing.keepsOpen(this.#isHttp10))
      throw new ResponseFault('HTTP_INTERIM', 'an interim response closes the connection')
    this.#interimCount++
    this.#interimBytes += bytes
    if (this.#interimCount > MAX_INTERIM || this.#interimBytes > MAX_INTERIM_BYTES)
      throw new ResponseFault('HTTP_INTERIM', 'too many interim responses precede a response')
  }

  /** RFC 9112, section 6.3. */
  #startBody(chunk: Buffer, at: number, status: number, head: string[]): number {
    const { length, isChunked } = this.#framing
    const isBodiless = this.#isHeadRequest || status === 101 || status === 204 || status === 304
    if (isBodiless || length === 0) this.#state = 'length'
    else if (isChunked) this.#state = 'chunked'
    else this.#state = length < 0 ? 'until-close' : 'length'
    this.#leftBytes = isBodiless ? 0 : length
    if (this.#state === 'chunked') this.#chunked.start()
    this.#sink.onHead(status, head)
    if (this.#state !== 'length' || this.#leftBytes > 0) return at
    // Some servers send a body where none may come. It would be read as the next response.
    const isSilent = !this.#isHeadRequest && status !== 101 && !isChunked && length <= 0
    return this.#complete(chunk, at, isSilent)
  }

  #readLength(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + this.#leftBytes)
    this.#leftBytes -= end - from
    this.#sink.onBody(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end))
    return this.#leftBytes > 0 || this.#state !== 'length' ? end : this.#complete(chunk, end, true)
  }

  #readChunked(chunk: Buffer, from: number): number {
    const chunked = this.#chunked
    if (chunked.dataBytes > 0) {
      const end = Math.min(chunk.length, from + chunked.dataBytes)
      chunked.take(end - from)
      this.#sink.onBody(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end))
      return end
    }
    const at = chunked.readFraming(chunk, from)
    return chunked.isComplete ? this.#complete(chunk, at, true) : at
  }

  /** The sink may expect the next response at once. */
  #complete(chunk: Buffer, at: number, isInStep: boolean): number {
    this.#state = 'over'
    this.#sink.onComplete(isInStep && at === chunk.length && this.#framing.keepsOpen(this.#isHttp10))
    return at
  }
}

export { ResponseFault }
