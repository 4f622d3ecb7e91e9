/** Reads the fields that delimit a response and decide about its connection (RFC 9112, 6 and 9). */
import { flatCopy } from '../../flat-text.ts'
import { ResponseFault } from './response-fault.ts'

const ZERO = 0x30
/** Matches more than a list of tokens allows: to close a connection too often does no harm. */
const CLOSE = /(?:^|[\t ,])close(?:[\t ,]|$)/i
const KEEP_ALIVE = /(?:^|,)[\t ]*keep-alive[\t ]*(?:,|$)/i
const TIMEOUT = /(?:^|[\t ,])timeout[\t ]*=[\t ]*"?([0-9]{1,9})(?:"?[\t ]*(?:,|$))/i

/** One per connection, cleared for each head. */
export class Framing {
  /** Content-Length, or -1. */
  length = -1
  isChunked = false
  isClose = false
  isKeepAlive = false
  /** Seconds of `Keep-Alive: timeout=N`, or -1. */
  keepAliveSeconds = -1
  /** The latest Keep-Alive and its seconds: a server sends the same one each time. */
  #keepAlive = ''
  #keepAliveSeconds = -1

  clear(): void {
    this.length = -1
    this.isChunked = false
    this.isClose = false
    this.isKeepAlive = false
    this.keepAliveSeconds = -1
  }

  /** Takes one field of a head. The length of the name decides for most of them.
   *  @returns True for a field that delimits the body. */
  note(name: string, value: string): boolean {
    switch (name.length) {
      case 10:
        if (isLetter(name, 'c') || isLetter(name, 'k')) this.#noteConnection(name.toLowerCase(), value)
        break
      case 14:
        return isLetter(name, 'c') && name.toLowerCase() === 'content-length' && this.#noteLength(value)
      case 16:
        // Not in RFC 9112. llhttp, too, ends the connection.
        if (isLetter(name, 'p') && name.toLowerCase() === 'proxy-connection' && CLOSE.test(value)) this.isClose = true
        break
      case 17:
        return isLetter(name, 't') && name.toLowerCase() === 'transfer-encoding' && this.#noteCoding(value)
    }
    return false
  }

  /** Call after the last field.
   *  @param isHttp10 HTTP/1.0 has no transfer codings (RFC 9112, section 6.1). */
  check(isHttp10: boolean): void {
    if (!this.isChunked) return
    if (this.length >= 0) throw fault('a response has both Transfer-Encoding and Content-Length')
    if (isHttp10) throw fault('an HTTP/1.0 response has Transfer-Encoding')
  }

  /** The server keeps the connection open (RFC 9112, section 9.3). */
  keepsOpen(isHttp10: boolean): boolean {
    return !this.isClose && (!isHttp10 || this.isKeepAlive)
  }

  #noteConnection(name: string, value: string): void {
    if (name === 'connection') {
      if (value === 'keep-alive') this.isKeepAlive = true
      else if (CLOSE.test(value)) this.isClose = true
      else if (KEEP_ALIVE.test(value)) this.isKeepAlive = true
    } else if (name === 'keep-alive') {
      if (value !== this.#keepAlive) {
        this.#keepAlive = flatCopy(value)
        this.#keepAliveSeconds = Number(TIMEOUT.exec(value)?.[1] ?? -1)
      }
      this.keepAliveSeconds = this.#keepAliveSeconds
    }
  }

  /** RFC 9110, section 8.6, allows equal repeats to be read as one. llhttp refuses them. */
  #noteLength(value: string): true {
    if (this.length >= 0) throw fault('a response has two Content-Length')
    this.length = toLength(value)
    if (this.length < 0) throw fault('a response has a malformed Content-Length')
    return true
  }

  /** The gateway offers no coding in TE. RFC 9112, section 6.1: chunked is applied once. */
  #noteCoding(value: string): true {
    if (this.isChunked || value.toLowerCase() !== 'chunked')
      throw fault('a response has another Transfer-Encoding than one chunked')
    this.isChunked = true
    return true
  }
}

/** Decimal digits up to 2^53-1; -1 for any other text. */
function toLength(text: string): number {
  let length = text === '' ? -1 : 0
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - ZERO
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return Number.isSafeInteger(length) ? length : -1
}

function isLetter(name: string, letter: string): boolean {
  return (name.charCodeAt(0) | 0x20) === letter.charCodeAt(0)
}

function fault(message: string): ResponseFault {
  return new ResponseFault('HTTP_FRAMING', message)
}
