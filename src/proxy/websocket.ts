/** WebSocket (RFC 6455): the handshake is a request like any other; after the upstream's 101 the two sockets are joined and
 *  nothing is looked at any more. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { breakOff, closeSoon, formatHead, writeProblem } from '../http/answer/send-problem.ts'
import { rewriteLocation } from '../http/headers/location.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import type { RequestRecord } from '../http/record.ts'
import { isNotConnected, toApiError } from '../upstream/failures.ts'
import { mayRetry } from '../upstream/retries.ts'
import { avoid, type Target, tlsOptions, type Upstream } from '../upstream/upstreams.ts'

const NO_TARGET = new ApiError(
  'upstream_unavailable',
  'No target of the business service can be used. Try again shortly.'
)
const TIMEOUT = new ApiError('upstream_timeout', 'The business service did not answer in time.')
const INVALID = new ApiError('upstream_invalid', 'The business service gave a response that is not valid HTTP.')
/** As long as undici allows them to be. */
const MAX_RESPONSE_HEAD = 64 * 1024
/** Bytes that a client may send before it knows whether the upstream wants them. */
const MAX_EARLY = 64 * 1024
/** After this much silence the kernel asks whether the other side is still there (milliseconds). */
const KEEP_ALIVE = 60_000

export interface UpgradeOptions {
  readonly socket: Duplex
  /** Bytes that arrived behind the request's head. */
  readonly head: Buffer
  readonly record: RequestRecord
  readonly upstream: Upstream
  readonly route: RouteConfig
  readonly path: string
  readonly headers: readonly string[]
  readonly responseHeaders: ResponseHeaders
  readonly balanceKey: string | null
  /** Told when the two sides have been joined. The function it gives is called when they part. */
  readonly onOpen: (end: () => void) => () => void
  /** Told once, when the connection is over or could not be made. */
  readonly onEnd: (status: number) => void
}

export function joinWebSocket(options: UpgradeOptions): void {
  const { socket, upstream, route, record, onEnd } = options
  const tried: Target[] = []
  const early = readEarly(options)
  let status = 0
  let outgoing: ClientRequest | null = null

  function refuse(error: ApiError): void {
    if (status !== 0) return
    early.stop()
    status = error.status
    record.failed(error.code)
    writeProblem(socket, error, record.requestId)
  }

  function attempt(): void {
    // When all were tried the next one may be any of them again.
    const target = upstream.pick(options.balanceKey, tried.length < upstream.targets.length ? tried : null)
    if (!target) {
      refuse(NO_TARGET)
      return
    }
    let request: ClientRequest
    try {
      request = dial(options, target)
    } catch {
      // Node would not send such a request. Whatever it has against it, it must not end the process.
      refuse(INVALID)
      return
    }
    outgoing = request
    record.attempted(target.origin.host)
    target.inFlight++
    const timer = setTimeout(() => request.destroy(TIMEOUT), route.timeout ?? upstream.config.timeouts.response)
    const connectTimer = setTimeout(() => request.destroy(TIMEOUT), upstream.config.timeouts.connect)
    request.on('socket', (upstreamSocket) => {
      const isTls = target.origin.protocol === 'https:'
      upstreamSocket.once(isTls ? 'secureConnect' : 'connect', () => clearTimeout(connectTimer))
    })
    request.on('close', () => {
      clearTimeout(timer)
      clearTimeout(connectTimer)
      if (status !== 101) target.inFlight--
    })
    request.on('error', (error) => {
      if (status !== 0 || socket.destroyed) return
      const isUnreached = isNotConnected(error)
      if (isUnreached) avoid(target)
      if (isUnreached && mayRetry(upstream.config.retries, 'connect', tried.length, 'GET', false)) {
        tried.push(target)
        attempt()
      } else refuse(toApiError(error))
    })
    request.on('upgrade', (response, upstreamSocket, upstreamHead) => {
      const headers = options.responseHeaders.build(toBuffers(response.rawHeaders), 101, route.responseHeaders)
      upstreamSocket.on('error', () => {})
      if (headers === null || response.headers.upgrade?.toLowerCase() !== 'websocket' || socket.destroyed) {
        upstreamSocket.destroy()
        refuse(INVALID)
        return
      }
      status = 101
      outgoing = null
      upstreamSocket.on('close', () => target.inFlight--)
      record.answered()
      socket.write(formatHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers]), 'latin1')
      if (upstreamHead.length > 0) socket.write(upstreamHead)
      for (const chunk of early.stop()) upstreamSocket.write(chunk)
      join(options, upstreamSocket as Socket)
    })
    request.on('response', (response) => {
      const { statusCode = 0 } = response
      const headers = options.responseHeaders.build(toBuffers(response.rawHeaders), statusCode, route.responseHeaders)
      response.on('error', () => {})
      if (headers === null || statusCode < 200) {
        response.destroy()
        refuse(INVALID)
        return
      }
      status = statusCode
      // From here on it is its silence that is timed.
      clearTimeout(timer)
      early.stop()
      record.answered()
      rewriteLocation(headers, upstream.targets, route.stripPrefix)
      relayRefusal(options, response, headers)
    })
    request.end()
  }

  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    outgoing?.destroy()
    // nginx's word for a client that left before the answer.
    onEnd(status === 0 ? 499 : status)
  })
  attempt()
}

/** Reads on while the upstream makes up its mind: that a client has left is seen in no other way. */
function readEarly({ socket, head }: UpgradeOptions): { stop(): Buffer[] } {
  const chunks = head.length > 0 ? [head] : []
  let size = head.length
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > MAX_EARLY) socket.pause()
  }
  const onEnd = () => socket.destroy()
  socket.on('data', onData)
  socket.on('end', onEnd)
  return {
    stop() {
      socket.off('data', onData)
      socket.off('end', onEnd)
      return chunks.splice(0)
    }
  }
}

/** What the upstream said in place of 101. Where it told no length, the end of the connection ends the body (RFC 9112,
 *  section 6.3). */
function relayRefusal({ socket, upstream }: UpgradeOptions, response: IncomingMessage, headers: string[]): void {
  socket.write(formatHead(response.statusCode ?? 502, ['Connection', 'close', ...headers]), 'latin1')
  response.setTimeout(upstream.config.timeouts.idle, () => response.destroy())
  response.on('close', () => {
    // Half a response must not look like a whole one.
    if (response.complete) closeSoon(socket)
    else breakOff(socket)
  })
  response.pipe(socket)
}

/** From here on bytes go through in both directions, each side at the pace of the other. */
function join({ socket, upstream, onOpen }: UpgradeOptions, upstreamSocket: Socket): void {
  const destroy = () => {
    socket.destroy()
    upstreamSocket.destroy()
  }
  const onClosed = onOpen(destroy)
  // Whatever passes, in whichever direction, passes through this one socket.
  upstreamSocket.setTimeout(upstream.config.timeouts.idle, destroy)
  upstreamSocket.setKeepAlive(true, KEEP_ALIVE)
  if ('setKeepAlive' in socket) (socket as Socket).setKeepAlive(true, KEEP_ALIVE)
  upstreamSocket.pipe(socket)
  socket.pipe(upstreamSocket)
  // What came before an orderly end is still on its way to the other side.
  upstreamSocket.on('close', () => {
    if (upstreamSocket.readableEnded) closeSoon(socket)
    else socket.destroy()
  })
  socket.on('close', () => {
    onClosed()
    if (socket.readableEnded) closeSoon(upstreamSocket)
    else upstreamSocket.destroy()
  })
}

function dial(options: UpgradeOptions, target: Target): ClientRequest {
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
    maxHeaderSize: MAX_RESPONSE_HEAD,
    ...(isTls ? tlsOptions(options.upstream.config.tls) : {})
  })
}

function toBuffers(raw: readonly string[]): Buffer[] {
  return raw.map((text) => Buffer.from(text, 'latin1'))
}
