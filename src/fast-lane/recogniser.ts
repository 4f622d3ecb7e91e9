/** Recognises the head of an ordinary request, strictly (RFC 9112). Accepts nothing that llhttp,
 *  the parser of Node, refuses in its strict mode or reads differently. The general lane reads
 *  every other request. */
import type { RequestHead } from '../http/admit.ts'
import { FieldLines } from '../http/wire/field-lines.ts'
import { latin1 } from '../http/wire/latin1.ts'

export interface OrdinaryHead extends RequestHead {
  readonly method: string
  /** In origin-form (RFC 9112, section 3.2.1). */
  readonly url: string
  readonly httpVersion: '1.1'
  /** Name and value in turns, Latin-1, without blanks around values. */
  readonly rawHeaders: string[]
  /** Offset after the head. */
  readonly bodyStart: number
  /** 0 without Content-Length. */
  readonly contentLength: number
  /** The client asks for the end of the connection after this request. */
  readonly isLast: boolean
}

/** The part of a head that the general lane must read. `incomplete`: the bytes hold no whole head
 *  within MAX_HEAD_BYTES. */
export type NotOrdinary =
  | 'incomplete'
  | 'method'
  | 'target'
  | 'version'
  | 'field'
  | 'framing'
  | 'connection'
  | 'upgrade'
  | 'expect'

export const MAX_HEAD_BYTES = 64 * 1024

const SPACE = 0x20
const HASH = 0x23
const SLASH = 0x2f
const TILDE = 0x7e

/** Initials in lower case. */
const C = 0x63
const E = 0x65
const P = 0x70
const T = 0x74
const U = 0x75

/** Each with the blank after it. CONNECT and TRACE are refused by the general lane. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'].map((name) => ({
  name,
  word: Buffer.from(`${name} `)
}))
const VERSION = Buffer.from(' HTTP/1.1\r\n')
const LENGTH = /^[0-9]{1,15}$/

/** One per process, reused. */
export class Recogniser {
  readonly #lines = new FieldLines()
  #contentLength = -1
  #isLast = false

  /** Reads the head of the request at `from`. The result does not refer to `chunk`; its strings
   *  may keep the text of the whole head. */
  recognise(chunk: Buffer, from: number, end: number): OrdinaryHead | NotOrdinary {
    const limit = Math.min(end, from + MAX_HEAD_BYTES)
    const method = readMethod(chunk, from, limit)
    if (method === 'incomplete' || method === 'method') return method
    const targetStart = from + method.length + 1
    if (targetStart < limit && chunk[targetStart] !== SLASH) return 'target'
    let at = targetStart
    while (at < limit && isTargetByte(chunk[at] as number)) at++
    if (at < limit && chunk[at] !== SPACE) return 'target'
    const targetEnd = at
    for (let index = 0; index < VERSION.length; index++, at++) {
      if (at >= limit) return 'incomplete'
      if (chunk[at] !== VERSION[index]) return 'version'
    }
    const lines = this.#lines
    lines.clear()
    const bodyStart = lines.scan(chunk, from, at, limit)
    if (bodyStart < 0) return lines.fault === null ? 'incomplete' : 'field'
    const text = latin1(chunk, from, bodyStart)
    const rawHeaders = new Array<string>(lines.count * 2)
    const reason = this.#readFields(text, rawHeaders)
    if (reason !== null) return reason
    return {
      method,
      url: text.slice(targetStart - from, targetEnd - from),
      httpVersion: '1.1',
      rawHeaders,
      bodyStart,
      contentLength: this.#contentLength,
      isLast: this.#isLast
    }
  }

  #readFields(text: string, rawHeaders: string[]): NotOrdinary | null {
    const lines = this.#lines
    const { count } = lines
    let hasLength = false
    let hasConnection = false
    this.#contentLength = 0
    this.#isLast = false
    for (let index = 0; index < count; index++) {
      const name = lines.name(text, index)
      const value = lines.value(text, index)
      rawHeaders[index * 2] = name
      rawHeaders[index * 2 + 1] = value
      switch (fieldOf(name)) {
        case 'content-length':
          if (hasLength || !LENGTH.test(value) || lines.hasTabAfter(text, index)) return 'framing'
          hasLength = true
          this.#contentLength = Number(value)
          break
        case 'connection':
          if (hasConnection || lines.hasTabAfter(text, index)) return 'connection'
          hasConnection = true
          if (isWord(value, 'close')) this.#isLast = true
          else if (!isWord(value, 'keep-alive')) return 'connection'
          break
        case 'transfer-encoding':
          return 'framing'
        case 'proxy-connection':
          return 'connection'
        case 'upgrade':
          return 'upgrade'
        case 'expect':
          return 'expect'
      }
    }
    return null
  }
}

function readMethod(chunk: Buffer, from: number, limit: number): string | 'incomplete' | 'method' {
  for (let index = 0; index < METHODS.length; index++) {
    const { name, word } = METHODS[index] as (typeof METHODS)[number]
    let length = 0
    while (length < word.length && from + length < limit && chunk[from + length] === word[length]) length++
    if (length === word.length) return name
    if (from + length >= limit) return 'incomplete'
  }
  return 'method'
}

/** A visible ASCII character other than `#`, whose meaning parsers dispute. */
function isTargetByte(byte: number): boolean {
  return byte > SPACE && byte <= TILDE && byte !== HASH
}

/** @returns The name in lower case for a field that decides about the lane, else an empty string.
 *  The length and the first letter decide for most names. */
function fieldOf(name: string): string {
  const initial = name.charCodeAt(0) | 0x20
  switch (name.length) {
    case 6:
      return initial === E ? name.toLowerCase() : ''
    case 7:
      return initial === U ? name.toLowerCase() : ''
    case 10:
    case 14:
      return initial === C ? name.toLowerCase() : ''
    case 16:
      return initial === P ? name.toLowerCase() : ''
    case 17:
      return initial === T ? name.toLowerCase() : ''
    default:
      return ''
  }
}

function isWord(value: string, word: string): boolean {
  return value === word || (value.length === word.length && value.toLowerCase() === word)
}
