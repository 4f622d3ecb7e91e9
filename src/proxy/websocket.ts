/** WebSocket (RFC 6455): the handshake is a request like any other; after the upstream's 101 the two sockets are joined and
 *  nothing is looked at any more. */
import { request as httpRequest, type IncomingMessage, STATUS_CODES } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { ApiError, PROBLEM_TYPE, toProblem } from '../errors.ts'
import { codeOf, toApiError } from '../upstream/failures.ts'
import { avoid, type Target, tlsOptions, type Upstream } from '../upstream/upstreams.ts'
import type { RequestContext } from './request-context.ts'
import type { ResponseHeaders } from './response-headers.ts'

const NO_TARGET = new ApiError(
  'upstream_unavailable',
  'No target of the business service can be used. Try again shortly.'
)
const TIMEOUT = new ApiError('upstream_timeout', 'The business service did not answer in time.')
const HANDSHAKE_HEADERS = [
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions'
]

export interface UpgradeOptions {
  readonly req: IncomingMessage
  readonly socket: Duplex
  /** What arrived behind the request's head. */
  readonly head: Buffer
  readonly context: RequestContext
  readonly upstream: Upstream
  readonly path: string
  readonly headers: readonly string[]
  /** Milliseconds to the head of the response. */
  readonly timeout: number
  readonly responseHeaders: ResponseHeaders
  readonly balanceKey: string | null
  /** Told once, when the connection is over or could not be made. */
  readonly onEnd: (status: number) => void
}

export function joinWebSocket(options: UpgradeOptions): void {
  const { socket, upstream, context, onEnd } = options
  const target = upstream.pick(options.balanceKey, null)
  let status = 0
  let isEnded = false
  const end = () => {
    if (isEnded) return
    isEnded = true
    onEnd(status)
  }
  const refuse = (error: ApiError) => {
    status = error.status
    context.reason = error.code
    writeProblem(socket, error, context.requestId)
  }
  socket.on('error', () => socket.destroy())
  socket.on('close', end)
  if (!target) {
    refuse(NO_TARGET)
    return
  }

  const outgoing = dial(options, target)
  const timer = setTimeout(() => outgoing.destroy(TIMEOUT), options.timeout)
  const connectTimer = setTimeout(() => outgoing.destroy(TIMEOUT), upstream.config.timeouts.connect)
  outgoing.on('socket', (upstreamSocket) => upstreamSocket.once('connect', () => clearTimeout(connectTimer)))
  outgoing.on('close', () => clearTimeout(connectTimer))
  outgoing.on('error', (error) => {
    clearTimeout(timer)
    if (codeOf(error) === 'ECONNREFUSED') avoid(target)
    if (status === 0) refuse(toApiError(error))
  })
  outgoing.on('upgrade', (response, upstreamSocket, upstreamHead) => {
    clearTimeout(timer)
    status = 101
    context.upstreamTime = performance.now() - context.startedAt
    upstreamSocket.on('error', () => socket.destroy())
    const headers = options.responseHeaders.build(toBuffers(response.rawHeaders), 101, { set: {}, remove: [] }) ?? []
    socket.write(formatHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers]), 'latin1')
    if (upstreamHead.length > 0) socket.write(upstreamHead)
    if (options.head.length > 0) upstreamSocket.write(options.head)
    target.inFlight++
    upstreamSocket.on('close', () => {
      target.inFlight--
      socket.destroy()
    })
    socket.on('close', () => upstreamSocket.destroy())
    upstreamSocket.pipe(socket)
    socket.pipe(upstreamSocket)
  })
  outgoing.on('response', (response) => {
    clearTimeout(timer)
    status = response.statusCode ?? 502
    const headers = options.responseHeaders.build(toBuffers(response.rawHeaders), status, {
      set: {},
      remove: ['content-length']
    })
    if (headers === null) {
      status = 0
      outgoing.destroy(new Error('invalid response'))
      return
    }
    // The end of the connection ends the body (RFC 9112, section 6.3).
    socket.write(formatHead(status, ['Connection', 'close', ...headers]), 'latin1')
    response.pipe(socket)
  })
  socket.on('close', () => outgoing.destroy())
  outgoing.end()
}

function dial(options: UpgradeOptions, target: Target) {
  const { origin } = target
  const headers = [...options.headers, 'Host', origin.host, 'Connection', 'Upgrade', 'Upgrade', 'websocket']
  const isTls = origin.protocol === 'https:'
  return (isTls ? httpsRequest : httpRequest)({
    method: 'GET',
    host: origin.hostname.replace(/^\[|\]$/g, ''),
    port: origin.port || (isTls ? 443 : 80),
    path: options.path,
    headers,
    agent: false,
    ...(isTls ? tlsOptions(options.upstream.config.tls) : {})
  })
}

/** A handshake has these four and method GET; anything else that asks for an upgrade is no WebSocket. */
export function isWebSocketHandshake(req: IncomingMessage): boolean {
  return (
    req.method === 'GET' &&
    req.headers.upgrade?.toLowerCase() === 'websocket' &&
    HANDSHAKE_HEADERS.slice(0, 2).every((name) => req.headers[name] !== undefined)
  )
}

export function writeProblem(socket: Duplex, error: ApiError, requestId: string): void {
  if (socket.destroyed) return
  const body = JSON.stringify(toProblem(error, requestId))
  const headers = [
    'Content-Type',
    PROBLEM_TYPE,
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Connection',
    'close'
  ]
  for (const [name, value] of Object.entries(error.headers)) headers.push(name, value)
  socket.end(formatHead(error.status, headers) + body)
}

function formatHead(status: number, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let index = 0; index + 1 < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n`
}

function toBuffers(raw: readonly string[]): Buffer[] {
  return raw.map((text) => Buffer.from(text, 'latin1'))
}
