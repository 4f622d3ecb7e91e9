/** HTTP/1 as bytes: sends requests that no client library would, and reads the answers one by
 *  one. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Answer {
  readonly status: number
  /** Names in lower case and values, in their order. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Latin-1: one character is one byte. */
  readonly body: string
}

export interface Exchange {
  /** Final answers. */
  readonly answers: readonly Answer[]
  /** Interim answers (1xx other than 101). */
  readonly interim: readonly Answer[]
  readonly isConnected: boolean
  /** True when the server ended the connection or announced its end (RFC 9112, section 9.6). */
  readonly isClosed: boolean
  /** True when an answer arrived before the last part was sent. */
  readonly isEarly: boolean
  /** Bytes after the last whole answer. */
  readonly rest: string
  /** System error of the connection; empty without one. */
  readonly failure: string
}

export type Dial = () => Socket

/** Verifies certificates; NODE_EXTRA_CA_CERTS names further authorities. */
export function dialTo(url: URL): Dial {
  const isTls = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (isTls ? 443 : 80))
  return () =>
    isTls
      ? connectTls({ host, port, servername: host, ALPNProtocols: ['http/1.1'] })
      : connect({ host, port, noDelay: true })
}

export interface ExchangeOptions {
  /** Number of answers to wait for. */
  readonly count: number
  /** Milliseconds for everything. */
  readonly timeout: number
  /** Milliseconds to wait for a surplus answer. */
  readonly grace?: number
  /** Indexes of answers that have no body whatever they announce: those to HEAD. */
  readonly bodiless?: readonly number[]
}

/** Bytes that are kept. */
const MAX_RECEIVED = 256 * 1024
/** Milliseconds at `{pause}`. */
const PAUSE = 60

/** Settles when the server ends the connection, `grace` after the last expected answer, or at
 *  the timeout.
 *  @param bytes `{pause}` separates two writes, `{end}` closes the sending side. */
export function exchange(
  dial: Dial,
  bytes: string,
  { count, timeout, grace = 0, bodiless = [] }: ExchangeOptions
): Promise<Exchange> {
  return new Promise((resolve) => {
    const [text = '', end] = bytes.split('{end}')
    const parts = text.split('{pause}')
    const socket = dial()
    let received = ''
    let isConnected = false
    let isEarly = false
    let failure = ''
    let wait: NodeJS.Timeout | undefined
    let pause: NodeJS.Timeout | undefined
    const finish = (isClosed: boolean) => {
      for (const each of [timer, wait, pause]) clearTimeout(each)
      socket.destroy()
      resolve({ ...readAnswers(received, isClosed, bodiless), isConnected, isClosed, isEarly, failure })
    }
    const timer = setTimeout(() => finish(false), timeout)
    const writeNext = () => {
      const part = parts.shift() ?? ''
      if (part !== '') socket.write(part, 'latin1')
      if (parts.length > 0) pause = setTimeout(writeNext, PAUSE)
      else if (end !== undefined) socket.end()
    }
    socket.on('connect', () => {
      isConnected = true
    })
    socket.on('data', (chunk: Buffer) => {
      if (received.length < MAX_RECEIVED) received += chunk.toString('latin1')
      if (wait !== undefined) return
      const { answers } = readAnswers(received, false, bodiless)
      if (answers.length > 0 && parts.length > 0) isEarly = true
      const isLast = answers.some(({ headers }) => headerOf(headers, 'connection').toLowerCase() === 'close')
      if (isLast || answers.length >= count) wait = setTimeout(() => finish(isLast), grace)
    })
    // A reset ends the exchange like a regular end.
    socket.on('end', () => finish(true))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? error.message
      finish(true)
    })
    socket.on('close', () => finish(true))
    writeNext()
  })
}

function readAnswers(text: string, isClosed: boolean, bodiless: readonly number[]) {
  const answers: Answer[] = []
  const interim: Answer[] = []
  let rest = text
  for (;;) {
    const read = readAnswer(rest, isClosed, bodiless.includes(answers.length))
    if (read === null) return { answers, interim, rest }
    rest = rest.slice(read.length)
    const { status } = read.answer
    if (status < 200 && status !== 101) interim.push(read.answer)
    else answers.push(read.answer)
    // Another protocol follows.
    if (status === 101) return { answers, interim, rest }
  }
}

function readAnswer(text: string, isClosed: boolean, isBodiless: boolean): { answer: Answer; length: number } | null {
  const headEnd = text.indexOf('\r\n\r\n')
  const [line = '', ...lines] = text.slice(0, Math.max(0, headEnd)).split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(line)?.[1])
  if (Number.isNaN(status)) return null
  const headers = lines.map((field): [string, string] => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
  })
  const start = headEnd + 4
  const done = (body: string, length: number) => ({ answer: { status, headers, body }, length })
  if (isBodiless || status < 200 || status === 204 || status === 304) return done('', start)
  if (headerOf(headers, 'transfer-encoding').toLowerCase() === 'chunked') {
    const chunked = readChunks(text, start)
    return chunked === null ? null : done(chunked.body, chunked.end)
  }
  const length = headerOf(headers, 'content-length')
  if (length === '') return isClosed ? done(text.slice(start), text.length) : null
  const end = start + Number(length)
  return text.length < end ? null : done(text.slice(start, end), end)
}

/** Decodes a chunked body without trailers; null while it is incomplete. */
export function readChunks(text: string, start: number): { body: string; end: number } | null {
  let body = ''
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, Math.max(at, lineEnd)), 16)
    const data = lineEnd + 2
    if (lineEnd < 0 || Number.isNaN(size) || text.length < data + size + 2) return null
    if (size === 0) return { body, end: data + 2 }
    body += text.slice(data, data + size)
    at = data + size + 2
  }
}

/** The first value of a header; empty without one. */
export function headerOf(headers: Answer['headers'], name: string): string {
  return headers.find(([key]) => key === name)?.[1] ?? ''
}
