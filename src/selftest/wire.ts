/** HTTP/1 as bytes: sends what no client library would, and reads the answers one by one. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface Answer {
  readonly status: number
  /** Name in lower case and value, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Latin-1: one character, one byte. */
  readonly body: string
}

export interface Exchange {
  /** Final answers; 100 and 103 are not among them. */
  readonly answers: readonly Answer[]
  readonly isConnected: boolean
  /** Whether the server ended the connection, or announced that it would (RFC 9112, section 9.6). */
  readonly isClosed: boolean
  /** Bytes that are no whole answer. */
  readonly rest: string
  /** Why the connection failed, as the system puts it; empty when it did not. */
  readonly failure: string
}

export type Dial = () => Socket

/** Certificates are verified; NODE_EXTRA_CA_CERTS names further authorities. */
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
  /** No more is expected than this many answers. */
  readonly count: number
  /** Milliseconds for everything. */
  readonly timeout: number
  /** Milliseconds to wait for answers beyond those expected. */
  readonly grace?: number
  /** Places of answers without a body, whatever they announce: those to HEAD. */
  readonly bodiless?: readonly number[]
}

/** More than this many bytes are not kept. */
const MOST = 256 * 1024

/** Settles when the server ends the connection, when all that was expected came and `grace` passed, or at the timeout. */
export function exchange(
  dial: Dial,
  bytes: string,
  { count, timeout, grace = 0, bodiless = [] }: ExchangeOptions
): Promise<Exchange> {
  return new Promise((resolve) => {
    const socket = dial()
    let received = ''
    let isConnected = false
    let failure = ''
    let wait: NodeJS.Timeout | undefined
    const finish = (isClosed: boolean) => {
      clearTimeout(timer)
      clearTimeout(wait)
      socket.destroy()
      resolve({ ...readAnswers(received, isClosed, bodiless), isConnected, isClosed, failure })
    }
    const timer = setTimeout(() => finish(false), timeout)
    socket.on('connect', () => {
      isConnected = true
    })
    socket.on('data', (chunk: Buffer) => {
      if (received.length < MOST) received += chunk.toString('latin1')
      if (wait !== undefined) return
      const { answers } = readAnswers(received, false, bodiless)
      const isLast = answers.some(({ headers }) => headerOf(headers, 'connection').toLowerCase() === 'close')
      if (isLast || answers.length >= count) wait = setTimeout(() => finish(isLast), grace)
    })
    // After an end there is nothing to wait for; a reset is an end as well.
    socket.on('end', () => finish(true))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? error.message
      finish(true)
    })
    socket.on('close', () => finish(true))
    socket.write(bytes, 'latin1')
  })
}

function readAnswers(text: string, isClosed: boolean, bodiless: readonly number[]) {
  const answers: Answer[] = []
  let rest = text
  for (;;) {
    const read = readAnswer(rest, isClosed, bodiless.includes(answers.length))
    if (read === null) return { answers, rest }
    rest = rest.slice(read.length)
    const { status } = read.answer
    const isInterim = status >= 100 && status < 200 && status !== 101
    if (!isInterim) answers.push(read.answer)
    // What follows is another protocol.
    if (status === 101) return { answers, rest }
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

function readChunks(text: string, start: number): { body: string; end: number } | null {
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

/** The first value of a header; the empty string when there is none. */
export function headerOf(headers: Answer['headers'], name: string): string {
  return headers.find(([key]) => key === name)?.[1] ?? ''
}
