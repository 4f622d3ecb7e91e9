/** Two gateways that differ in `server.fastLane` only, each with a backend that records bytes. The
 *  same bytes of a client must have the same effect on both. */
import { connect, createServer, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { buildTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import { listen, type Teardown } from './listen.ts'
import { readResponse } from './raw-response.ts'
import { idle } from './timers.ts'
import { until } from './until.ts'

export interface Received {
  /** Request line and header lines. */
  readonly head: string
  /** As sent: with its chunk lines. Latin-1. */
  body: string
  isComplete: boolean
}

export interface RecordingBackend {
  readonly url: string
  readonly received: Received[]
  /** Open connections. */
  readonly open: number
}

/** Called when a request is complete, or for `isEarly` with its head. */
export type Answer = (request: Received, socket: Socket) => void

export interface Side {
  readonly gateway: TestGateway
  readonly backend: RecordingBackend
  /** Empty over TLS. */
  readonly token: string
}

export interface Lanes {
  readonly fast: Side
  readonly general: Side
}

export interface Effect {
  /** All that the client received; ids, dates and tokens replaced. */
  readonly text: string
  /** Requests that the backend received. */
  readonly seen: readonly Received[]
  /** Lines of the access log, without times and ids. */
  readonly log: readonly object[]
}

export interface LanesOptions extends TestGatewayOptions {
  readonly answer?: Answer
  /** Answers when the head of a request is there. */
  readonly isEarly?: (request: Received) => boolean
}

const ROUTES = [
  { path: '/admin', upstream: 'app', auth: 'required' },
  { path: '/', upstream: 'app', auth: 'public' }
]

/** @param options `config.server` is added to that of both gateways. */
export async function startLanes(t: Teardown, options: LanesOptions = {}): Promise<Lanes> {
  const { answer = answerPlainly, isEarly = () => false } = options
  const start = async (fastLane: boolean): Promise<Side> => {
    const backend = await startRecorder(t, answer, isEarly)
    const server = {
      host: '127.0.0.1',
      port: 1,
      drain: { delay: '10ms', timeout: '2s' },
      ...(options.config?.server as object | undefined),
      fastLane
    }
    const config = { routes: ROUTES, ...options.config, server }
    const gateway = await buildTestGateway(t, backend.url, { ...options, config })
    // fetch does not accept the certificate of a test.
    const token = gateway.config.server.tls ? '' : (await gateway.login('mallory')).access_token
    return { gateway, backend, token }
  }
  return { fast: await start(true), general: await start(false) }
}

/** 200 with the request line; the path may name another form of response. */
export const answerPlainly: Answer = ({ head, body }, socket) => {
  const [line = ''] = head.split('\r\n')
  const path = line.split(' ')[1] ?? ''
  const text = `${line} ${body.length}`
  const framed = `Content-Length: ${text.length}\r\n\r\n${line.startsWith('HEAD') ? '' : text}`
  const [, kind = ''] = /\/answer-([a-z0-9]+)/.exec(path) ?? []
  socket.write(RESPONSES[kind]?.(text) ?? `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n${framed}`, 'latin1')
  if (kind === 'close' || kind === 'websocket') socket.end()
}

const RESPONSES: Readonly<Record<string, (text: string) => string>> = {
  chunked: (text) => {
    const [first, second] = [text.slice(0, 3), text.slice(3)]
    const chunks = [first, second].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`)
    return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: \xe5\xbc\xa0\r\n\r\n${chunks.join('')}0\r\n\r\n`
  },
  close: (text) => `HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n${text}`,
  empty: () => 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\n\r\n',
  '204': () => 'HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n',
  '304': () => 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n',
  '299': () => 'HTTP/1.1 299 Own Reason\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n',
  '503': () => 'HTTP/1.1 503 A\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n',
  hint: () =>
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-A\r\nX-A: b\r\n\r\nab',
  big: () => `HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n${'b'.repeat(200_000)}`,
  bigchunks: () =>
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`4e20\r\n${'c'.repeat(20_000)}\r\n`.repeat(10)}0\r\n\r\n`,
  // Answers the key of RFC 6455, section 1.3, and closes.
  websocket: () =>
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x88\x00',
  broken: () => 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'
}

async function startRecorder(
  t: Teardown,
  answer: Answer,
  isEarly: (request: Received) => boolean
): Promise<RecordingBackend> {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    sockets.add(socket)
    let text = ''
    let current: Received | null = null
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      for (;;) {
        if (current === null) {
          const end = text.indexOf('\r\n\r\n')
          if (end < 0) return
          current = { head: text.slice(0, end), body: '', isComplete: false }
          text = text.slice(end + 4)
          received.push(current)
          if (isEarly(current)) answer(current, socket)
        }
        const rest = text.length
        text = takeBody(current, text)
        if (current.isComplete) {
          if (!isEarly(current)) answer(current, socket)
          current = null
        } else if (text.length === rest) return
      }
    })
  })
  const port = await listen(t, server)
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    get open() {
      return sockets.size
    }
  }
}

/** Moves the bytes of the body to the request. @returns The rest. */
function takeBody(request: Received, text: string): string {
  let size: number
  if (/\r\ntransfer-encoding:/i.test(request.head)) {
    const end = /(?:^|\r\n)0\r\n\r\n/.exec(request.body + text)
    size = end === null ? text.length : end.index + end[0].length - request.body.length
    request.isComplete = end !== null
  } else {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(request.head)?.[1] ?? 0)
    size = Math.min(text.length, length - request.body.length)
    request.isComplete = request.body.length + size === length
  }
  request.body += text.slice(0, size)
  return text.slice(size)
}

/** Sends the parts one after the other on a new connection, and reads until the server ends it.
 *  The part `{answer}` waits for a further response, `{end}` ends the sending side, and `{token}`
 *  is an access token. */
export async function effectOf(side: Side, parts: readonly string[]): Promise<Effect> {
  const { gateway, backend, token } = side
  const from = backend.received.length
  const firstLine = gateway.lines.length
  const { port, config } = gateway
  const socket = config.server.tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    : connect({ port, host: '127.0.0.1', noDelay: true })
  let text = ''
  let isOver = false
  let answers = 0
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  for (const event of ['end', 'close'])
    socket.on(event, () => {
      isOver = true
    })
  for (const part of parts) {
    if (isOver) break
    if (part === '{answer}') {
      const wanted = ++answers
      await until(() => isOver || countResponses(text) >= wanted)
      continue
    }
    if (part === '{end}') socket.end()
    else await new Promise((resolve) => socket.write(part.replaceAll('{token}', token), 'latin1', resolve))
    if (parts.length > 1) await idle()
  }
  await until(() => isOver)
  socket.destroy()
  await until(() => gateway.gateway.active === 0)
  return {
    text: withoutIds(token === '' ? text : text.replaceAll(token, '{token}')),
    seen: backend.received.slice(from).map(plainOf),
    log: gateway.lines.slice(firstLine).flatMap(plainLineOf)
  }
}

function plainLineOf(line: string): object[] {
  const { time, ms, upstream_ms, request_id, target, user, ...rest } = JSON.parse(line) as Record<string, unknown>
  return rest.msg === 'request' ? [rest] : []
}

/** Complete final responses. */
function countResponses(text: string): number {
  let count = 0
  for (let rest = text; ; ) {
    const response = readResponse(rest, { isClosed: false, isBodiless: false })
    if (response === null) return count
    if (response.status >= 200) count++
    rest = rest.slice(response.length)
  }
}

function plainOf({ head, body, isComplete }: Received): Received {
  return { head: withoutIds(head), body, isComplete }
}

/** Replaces the parts of messages that differ between any two gateways or requests. */
function withoutIds(text: string): string {
  return text
    .replace(/\b[0-9a-f]{32}\b/g, '{id}')
    .replace(/00-\{id\}-[0-9a-f]{16}/g, '{traceparent}')
    .replace(/\bDate: [^\r]*GMT/g, (line) => (line.includes(' 1970 ') ? line : 'Date: {date}'))
    .replace(/(X-(?:OpenId|User-Id|Session-Id): )[^\r]+/g, '$1{id}')
    .replace(/127\.0\.0\.1:\d+/g, '{authority}')
    .replace(/(CDN-Loop: )[^\r]+/gi, '$1{loop}')
}
