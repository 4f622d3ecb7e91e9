/** Writes the head of a response as Node's server does: the same lines in the same order. */
import { countLines } from '../http/headers/header-lines.ts'
import { STATUS_CODES } from '../node-http.ts'

/** One for all responses of a lane: the result of the last `format` is in its fields. */
export class ResponseHead {
  text = ''
  /** The body is sent in chunks. */
  isChunked = false
  /** The connection ends after this response. */
  isLast = false
  readonly #keepAlive: string
  #second = -1
  /** Lines of most responses, for one second. */
  #date = ''
  #dateAndKeepAlive = ''

  constructor(keepAliveTimeoutMs: number) {
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}\r\n`
  }

  /** Throws for a head that would read as more lines than written. */
  format(status: number, headers: readonly string[], hasBody: boolean, closes: boolean): void {
    let text = status === 200 ? OK : `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
    let hasDate = false
    let hasConnection = false
    let hasLength = false
    this.isLast = closes
    for (let index = 0; index + 1 < headers.length; index += 2) {
      const name = headers[index] as string
      const value = headers[index + 1] as string
      text += `${name}: ${value}\r\n`
      const { length } = name
      if (length === 4) hasDate ||= name.toLowerCase() === 'date'
      else if (length === 14) hasLength ||= name === 'content-length' || name.toLowerCase() === 'content-length'
      else if (length === 10 && name.toLowerCase() === 'connection') {
        hasConnection = true
        this.isLast = /\bclose\b/i.test(value)
      }
    }
    const checkedLength = text.length
    this.isChunked = hasBody && !hasLength
    text += this.#ownLines(hasDate, hasConnection, closes) + (this.isChunked ? CHUNKED : END)
    if (countLines(text, checkedLength) !== 1 + headers.length / 2) throw new Error('a response head holds a line end')
    this.text = text
  }

  #ownLines(hasDate: boolean, hasConnection: boolean, closes: boolean): string {
    if (!hasDate) this.#renewDate()
    const date = hasDate ? '' : this.#date
    if (hasConnection) return date
    if (closes) return `${date}Connection: close\r\n`
    return hasDate ? this.#keepAlive : this.#dateAndKeepAlive
  }

  #renewDate(): void {
    const now = Date.now()
    const second = Math.floor(now / 1000)
    if (second === this.#second) return
    this.#second = second
    this.#date = `Date: ${new Date(now).toUTCString()}\r\n`
    this.#dateAndKeepAlive = this.#date + this.#keepAlive
  }
}

const OK = `HTTP/1.1 200 ${STATUS_CODES[200]}\r\n`
const END = '\r\n'
const CHUNKED = `Transfer-Encoding: chunked\r\n${END}`
