/** One client connection, byte by byte: what is sent is what the test says, and answers are told apart as a strict client
 *  would. */
import { connect, type Socket } from 'node:net'
import type { Teardown } from './listen.ts'
import { PATIENCE, until } from './until.ts'

export interface RawResponse {
  readonly status: number
  /** As they came, with lower-case names; several of one name are joined by ", ". */
  readonly headers: Readonly<Record<string, string>>
  /** Latin-1. */
  readonly body: string
}

export interface RawClient {
  readonly socket: Socket
  send(bytes: string | Buffer): void
  /** The next whole response (1xx left out); rejects when the connection ends before it is whole, or after `PATIENCE`. */
  response(method?: string): Promise<RawResponse>
  /** Takes the head of the next response, and leaves what follows. */
  head(): Promise<string>
  /** Everything received and not taken as a response yet. */
  readonly pending: string
  /** Resolves when the connection is closed from the other side or broken. */
  readonly closed: Promise<void>
  readonly isClosed: boolean
  close(): void
}

export async function openClient(t: Teardown, port: number): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let isClosed = false
  let wake = () => {}
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
    wake()
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => {
    const over = () => {
      isClosed = true
      resolve()
      wake()
    }
    socket.on('end', over)
    socket.on('close', over)
  })
  t.teardown(() => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    async response(method = 'GET') {
      const deadline = performance.now() + PATIENCE
      for (;;) {
        const parsed = parse(received, method, isClosed)
        if (parsed) {
          received = parsed.rest
          if (parsed.response.status >= 200) return parsed.response
          continue
        }
        if (isClosed) throw new Error(`the connection ended after ${JSON.stringify(received.slice(0, 200))}`)
        const left = deadline - performance.now()
        if (left <= 0) throw new Error(`no whole response: ${JSON.stringify(received.slice(0, 200))}`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, left)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
    },
    async head() {
      await until(() => received.includes('\r\n\r\n') || isClosed)
      const end = received.indexOf('\r\n\r\n')
      const head = received.slice(0, end)
      received = received.slice(end + 4)
      return head
    },
    get pending() {
      return received
    },
    closed,
    get isClosed() {
      return isClosed
    },
    close: () => void socket.destroy()
  }
}

/** Whether the port accepts no connection. */
export function isRefused(t: Teardown, port: number): Promise<boolean> {
  return openClient(t, port).then(
    (client) => {
      client.close()
      return false
    },
    () => true
  )
}

function parse(text: string, method: string, isClosed: boolean): { response: RawResponse; rest: string } | null {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return null
  const [line = '', ...lines] = text.slice(0, end).split('\r\n')
  const match = /^HTTP\/1\.1 (\d{3}) /.exec(line)
  if (!match) throw new Error(`not a status line: ${line.slice(0, 80)}`)
  const status = Number(match[1])
  const headers: Record<string, string> = {}
  for (const field of lines) {
    const name = field.slice(0, field.indexOf(':')).toLowerCase()
    const value = field.slice(field.indexOf(':') + 1).trim()
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  const rest = text.slice(end + 4)
  const whole = (body: string, left: string) => ({ response: { status, headers, body }, rest: left })
  if (status < 200 || status === 204 || status === 304 || method === 'HEAD') return whole('', rest)
  if (headers['transfer-encoding'] === 'chunked') {
    const body = parseChunks(rest)
    return body && whole(body.body, body.rest)
  }
  const length = headers['content-length']
  if (length === undefined) return isClosed ? whole(rest, '') : null
  return rest.length < Number(length) ? null : whole(rest.slice(0, Number(length)), rest.slice(Number(length)))
}

function parseChunks(text: string): { body: string; rest: string } | null {
  let body = ''
  let rest = text
  for (;;) {
    const lineEnd = rest.indexOf('\r\n')
    if (lineEnd < 0) return null
    const size = Number.parseInt(rest.slice(0, lineEnd), 16)
    if (rest.length < lineEnd + 2 + size + 2) return null
    body += rest.slice(lineEnd + 2, lineEnd + 2 + size)
    rest = rest.slice(lineEnd + 2 + size + 2)
    if (size === 0) return { body, rest }
  }
}

/** A request without a body. */
export function get(path: string, token?: string, more = ''): string {
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
  return `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${authorization}${more}\r\n`
}
