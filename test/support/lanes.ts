/** Two gateways that differ in `server.fastLane` only, each with a backend that records bytes. The
 *  same bytes of a client must have the same effect on both. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { buildTestGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts'
import type { Teardown } from './listen.ts'
import { readResponse } from './raw-response.ts'
import { type Answer, answerPlainly, type Received, type RecordingBackend, startRecorder } from './recording-backend.ts'
import { idle } from './timers.ts'
import { until } from './until.ts'

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
  let wake = () => {}
  /** Resolves with the next bytes or the end. */
  const more = () =>
    new Promise<void>((resolve) => {
      wake = resolve
    })
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    wake()
  })
  socket.on('error', () => {})
  for (const event of ['end', 'close'])
    socket.on(event, () => {
      isOver = true
      wake()
    })
  for (const part of parts) {
    if (isOver) break
    if (part === '{answer}') {
      const wanted = ++answers
      while (!isOver && countResponses(text) < wanted) await more()
      continue
    }
    if (part === '{end}') socket.end()
    else await new Promise((resolve) => socket.write(part.replaceAll('{token}', token), 'latin1', resolve))
    if (parts.length > 1) await idle()
  }
  while (!isOver) await more()
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
    if (typeof response === 'number') return count
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
