/** Writes the head of a response as Node's server does: the same lines in the same order. */
import { STATUS_CODES } from 'node:http'
import { countLines } from '../http/headers/header-lines.ts'

/** One for all responses of a lane: the result of the last `format` is in its fields. */
export class ResponseHead {
  text = ''
  /** The body is sent in chunks. */
  isChunked = false
  /** The connection ends after this response. */
  isLast = false
  readonly #keepAlive: string
  #date = ''
  #dateOfSecond = -1

  constructor(keepAliveTimeoutMs: number) {
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveTimeoutMs / 1000)}\r\n`
  }

  /** Throws for a head that would read as more lines than written. */
  format(status: number, headers: readonly string[], hasBody: boolean, closes: boolean): void {
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
    let lines = 2 + headers.length / 2
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
      else if (length === 14) hasLength ||= name.toLowerCase() === 'content-length'
      else if (length === 10 && name.toLowerCase() === 'connection') {
        hasConnection = true
        this.isLast = /\bclose\b/i.test(value)
      }
    }
    if (!hasDate) {
      text += this.#dateLine()
      lines++
    }
    if (!hasConnection) {
      text += closes ? 'Connection: close\r\n' : this.#keepAlive
      lines += closes ? 1 : 2
    }
    this.isChunked = hasBody && !hasLength
    if (this.isChunked) {
      text += 'Transfer-Encoding: chunked\r\n'
      lines++
    }
    text += '\r\n'
    if (countLines(text) !== lines) throw new Error('a response head holds a line end')
    this.text = text
  }

  #dateLine(): string {
    const now = Date.now()
    const second = Math.floor(now / 1000)
    if (second !== this.#dateOfSecond) {
      this.#dateOfSecond = second
      this.#date = `Date: ${new Date(now).toUTCString()}\r\n`
    }
    return this.#date
  }
}
