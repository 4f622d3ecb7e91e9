/** HTTP/1 as bytes: sends what no client library would, and reads the answers one by one. */
import { connect } from 'node:net'

export interface RawResponse {
  readonly status: number
  /** Names in lower case and values in turns, as they came. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
  /** The first value of a header; the empty string when there is none. */
  header(name: string): string
}

export interface RawExchange {
  readonly responses: readonly RawResponse[]
  /** Statuses of informational responses (100, 103). */
  readonly interim: readonly number[]
  /** Whether the server ended the connection. */
  readonly isClosed: boolean
  /** Bytes that are no whole response. */
  readonly rest: string
}

export interface RawOptions {
  /** Stop after this many responses. */
  readonly count?: number
  /** Stop after this many milliseconds in any case. */
  readonly wait?: number
  /** Responses that have no body although they announce one, by place: those to HEAD. */
  readonly bodiless?: readonly number[]
}

/** Writes each part in turn, and reads until there are enough responses or the server ends the connection. */
export function exchange(
  port: number,
  parts: string | Buffer | readonly (string | Buffer)[],
  { count = 1, wait = 3_000, bodiless = [] }: RawOptions = {}
): Promise<RawExchange> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let received = ''
    let isClosed = false
    const finish = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ ...readResponses(received, isClosed, bodiless), isClosed })
    }
    const timer = setTimeout(finish, wait)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (readResponses(received, false, bodiless).responses.length >= count) finish()
    })
    const onEnd = () => {
      isClosed = true
      finish()
    }
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.on('error', onEnd)
    const list = typeof parts === 'string' || Buffer.isBuffer(parts) ? [parts] : [...parts]
    const writeNext = () => {
      const part = list.shift()
      if (part === undefined || socket.destroyed) return
      socket.write(part, 'latin1', () => setTimeout(writeNext, list.length > 0 ? 15 : 0))
    }
    writeNext()
  })
}

function readResponses(text: string, isClosed: boolean, bodiless: readonly number[]) {
  const responses: RawResponse[] = []
  const interim: number[] = []
  let rest = text
  for (;;) {
    const response = readResponse(rest, isClosed, bodiless.includes(responses.length))
    if (response === null) return { responses, interim, rest }
    rest = rest.slice(response.length)
    if (response.status >= 100 && response.status < 200 && response.status !== 101) interim.push(response.status)
    else responses.push(response)
    if (response.status === 101) return { responses, interim, rest }
  }
}

function readResponse(text: string, isClosed: boolean, isBodiless: boolean): (RawResponse & { length: number }) | null {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const [line = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0)
  const headers = lines.map((field) => {
    const colon = field.indexOf(':')
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()] as const
  })
  const header = (name: string) => headers.find(([key]) => key === name)?.[1] ?? ''
  const start = headEnd + 4
  const done = (body: string, length: number) => ({ status, headers, header, body, length })
  if (isBodiless || status < 200 || status === 204 || status === 304) return done('', start)
  if (header('transfer-encoding').toLowerCase() === 'chunked') {
    const chunked = readChunks(text, start)
    return chunked === null ? null : done(chunked.body, chunked.end)
  }
  const length = header('content-length')
  if (length === '') return isClosed ? done(text.slice(start), text.length) : null
  const end = start + Number(length)
  return text.length < end ? null : done(text.slice(start, end), end)
}

function readChunks(text: string, start: number): { body: string; end: number } | null {
  let body = ''
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    const data = lineEnd + 2
    if (text.length < data + size + 2) return null
    if (size === 0) return { body, end: data + 2 }
    body += text.slice(data, data + size)
    at = data + size + 2
  }
}
