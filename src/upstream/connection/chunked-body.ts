/** The framing of a chunked body (RFC 9112, section 7.1). Data stays in the bytes of the caller. */
import type { BlockReader } from './block-reader.ts'
import { ResponseFault } from './response-fault.ts'

const LF = 0x0a
const CR = 0x0d
/** Size, extensions and CRLF of one chunk. */
const MAX_LINE_BYTES = 1_024
/** Size lines of one body in excess of `SHORT_LINE_BYTES` each, as in Node's own parser. */
const MAX_EXTENSION_BYTES = 16 * 1_024
const SHORT_LINE_BYTES = 16
const MAX_TRAILERS = 128

/** 13 digits are less than 2^53. Extensions as llhttp reads them: without blanks. */
const SIZE_LINE =
  /^[0-9A-Fa-f]{1,13}(?:;[\w!#$%&'*+\-.^`|~]+(?:=(?:[\w!#$%&'*+\-.^`|~]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)*\r$/
/** A field that would delimit a message (RFC 9110, section 6.5.1). */
const FRAMING_NAME = /^(?:content-length|transfer-encoding)$/i

type State = 'size' | 'data' | 'data-cr' | 'data-lf' | 'trailers' | 'complete'

/** One per connection, reused. */
export class ChunkedBody {
  /** Bytes that are missing from the current chunk. Data comes next when it is not 0. */
  dataBytes = 0
  #state: State = 'size'
  /** The start of a size line whose end has not come. */
  #line = ''
  #extensionBytes = 0
  readonly #block: BlockReader

  /** @param block Reads the trailers. Free after the head. */
  constructor(block: BlockReader) {
    this.#block = block
  }

  get isComplete(): boolean {
    return this.#state === 'complete'
  }

  start(): void {
    this.dataBytes = 0
    this.#state = 'size'
    this.#line = ''
    this.#extensionBytes = 0
  }

  /** The caller took this many bytes of data. */
  take(bytes: number): void {
    this.dataBytes -= bytes
    if (this.dataBytes === 0) this.#state = 'data-cr'
  }

  /** Reads up to the next data, the end of the body or the end of `chunk`.
   *  @returns The offset after the last byte that was read. */
  readFraming(chunk: Buffer, from: number): number {
    let at = from
    while (at < chunk.length) {
      switch (this.#state) {
        case 'size':
          at = this.#readSizeLine(chunk, at)
          break
        case 'data-cr':
          if (chunk[at++] !== CR) throw fault('a chunk is longer than its size')
          this.#state = 'data-lf'
          break
        case 'data-lf':
          if (chunk[at++] !== LF) throw fault('a chunk ends in CR without LF')
          this.#state = 'size'
          break
        case 'trailers':
          at = this.#readTrailers(chunk, at)
          break
        default:
          return at
      }
    }
    return at
  }

  #readSizeLine(chunk: Buffer, from: number): number {
    const end = Math.min(chunk.length, from + MAX_LINE_BYTES - this.#line.length)
    let at = from
    while (at < end && chunk[at] !== LF) at++
    this.#line += chunk.toString('latin1', from, at)
    if (at === end) {
      if (this.#line.length >= MAX_LINE_BYTES) throw fault('a chunk has too long extensions')
      return at
    }
    if (!SIZE_LINE.test(this.#line)) throw fault('a chunk has a malformed size line')
    if (this.#line.length > SHORT_LINE_BYTES) this.#extensionBytes += this.#line.length - SHORT_LINE_BYTES
    if (this.#extensionBytes > MAX_EXTENSION_BYTES) throw fault('the chunks have too long extensions')
    this.dataBytes = Number.parseInt(this.#line, 16)
    this.#line = ''
    this.#state = this.dataBytes > 0 ? 'data' : 'trailers'
    if (this.dataBytes === 0) this.#block.startTrailers()
    return at + 1
  }

  #readTrailers(chunk: Buffer, from: number): number {
    const at = this.#block.read(chunk, from)
    if (at < 0) return chunk.length
    const { lines, text } = this.#block
    if (lines.count > MAX_TRAILERS) throw new ResponseFault('HTTP_TRAILERS', 'a response has too many trailers')
    for (let index = 0; index < lines.count; index++) {
      if (FRAMING_NAME.test(lines.name(text, index)))
        throw new ResponseFault('HTTP_TRAILERS', 'a trailer of a response would delimit a message')
    }
    this.#block.release()
    this.#state = 'complete'
    return at
  }
}

function fault(message: string): ResponseFault {
  return new ResponseFault('HTTP_CHUNK', message)
}
