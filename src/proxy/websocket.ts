/** WebSocket handshakes (RFC 6455): sent to an upstream like any other request. After its 101
 *  the two sockets are joined. */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock, Timer } from '../clock.ts'
import type { ApiError } from '../errors.ts'
import { breakOff, closeSoon, formatHead, writeProblem } from '../http/answer/send-problem.ts'
import type { Guard } from '../http/guard.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import { CLIENT_CLOSED_REQUEST } from '../http/record.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Asker, Lease } from '../upstream/attempts.ts'
import { ConnectTimeout, INVALID_RESPONSE, toUpstreamError, UPSTREAM_TIMEOUT } from '../upstream/failures.ts'
import { MAX_RESPONSE_HEAD_BYTES, type Target, tlsOptions } from '../upstream/target.ts'
import { type EarlyBytes, readEarly } from './early-bytes.ts'
import type { LiveConnection, LiveConnections } from './live-connections.ts'
import type { PlannedRoute } from './plan.ts'
import { buildResponseHead } from './response-head.ts'
import { Tunnel } from './tunnel.ts'

export interface UpgradeOptions {
  readonly socket: Duplex
  /** Bytes that arrived behind the request's head. */
  readonly head: Buffer
  readonly request: AdmittedRequest
  readonly route: PlannedRoute
  readonly path: string
  readonly headers: readonly string[]
  /** Value of Host; null for the target's own. */
  readonly host: string | null
  readonly responseHeaders: ResponseHeaders
  readonly clock: Clock
  readonly guard: Pick<Guard, 'toApiError'>
  readonly balanceKey: string | null
  readonly session: LiveConnection['session']
  readonly live: Pick<LiveConnections, 'add' | 'remove'>
  /** Called once, when the connection is over or could not be made. */
  readonly onEnd: (status: number) => void
}

export function joinWebSocket(options: UpgradeOptions): void {
  new Handshake(options).start()
}

class Handshake implements Asker {
  readonly #options: UpgradeOptions
  readonly #lease: Lease
  readonly #early: EarlyBytes
  /** 0 until the client has an answer. */
  #status = 0
  #request: ClientRequest | null = null
  #wasSent = false
  #timer: Timer | undefined

  constructor(options: UpgradeOptions) {
    const { route, balanceKey: key, socket, head } = options
    this.#options = options
    // A sent handshake may have had an effect: it is not repeated.
    this.#lease = route.plan.upstream.attempts({ key, method: 'GET', isReplayable: false })
    this.#early = readEarly(socket, head)
  }

  start(): void {
    const { socket, onEnd } = this.#options
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#request?.destroy()
      this.#lease.stopWaiting()
      onEnd(this.#status === 0 ? CLIENT_CLOSED_REQUEST : this.#status)
    })
    this.#attempt()
  }

  #attempt(): void {
    const target = this.#lease.next()
    if (target === null) this.#lease.wait(this)
    else this.onTarget(target)
  }

  onNoTarget(error: ApiError): void {
    this.#refuse(error)
  }

  onTarget(target: Target): void {
    const { request: admitted, route } = this.#options
    const { timeouts } = route.plan.upstream.config
    let request: ClientRequest
    try {
      request = dial(this.#options, target)
    } catch {
      // Node refuses to send such a request.
      this.#lease.done()
      this.#refuse(INVALID_RESPONSE)
      return
    }
    request.on('error', (error) => this.#onError(error))
    this.#request = request
    this.#wasSent = false
    admitted.record.attempted(target.host)
    this.#setDeadline(request, new ConnectTimeout(), timeouts.connect)
    request.on('socket', (socket) => {
      socket.once(target.origin.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
        this.#wasSent = true
        this.#setDeadline(request, UPSTREAM_TIMEOUT, route.plan.responseTimeoutMs)
      })
    })
    request.on('close', () => {
      if (this.#request !== request) return
      this.#clearDeadline()
      this.#lease.done()
    })
    request.on('upgrade', (response, upstreamSocket, head) => {
      this.#guarded(upstreamSocket, () => this.#onUpgrade(response, upstreamSocket as Socket, head))
    })
    request.on('response', (response) => this.#guarded(response, () => this.#onResponse(response)))
    request.end()
  }

  /** A throw of the gateway's own code ends this connection. */
  #guarded(upstream: { destroy(): unknown }, work: () => void): void {
    try {
      work()
    } catch (error) {
      const { guard, request, socket } = this.#options
      upstream.destroy()
      const failure = guard.toApiError(error, request.record)
      if (this.#status === 0) this.#refuse(failure)
      else socket.destroy()
    }
  }

  #onError(error: Error): void {
    this.#clearDeadline()
    this.#request = null
    if (this.#status !== 0 || this.#options.socket.destroyed) this.#lease.done()
    else if (this.#lease.failed(error, this.#wasSent)) this.#attempt()
    else this.#refuse(toUpstreamError(error, this.#wasSent))
  }

  #onUpgrade(response: IncomingMessage, upstreamSocket: Socket, head: Buffer): void {
    const { socket } = this.#options
    const headers = buildResponseHead(toBuffers(response.rawHeaders), 101, this.#options)
    upstreamSocket.on('error', () => {})
    if (headers === null || response.headers.upgrade?.toLowerCase() !== 'websocket' || socket.destroyed) {
      upstreamSocket.destroy()
      this.#refuse(INVALID_RESPONSE)
      return
    }
    this.#answer(101)
    upstreamSocket.on('close', () => this.#lease.done())
    socket.write(formatHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers]), 'latin1')
    this.#openTunnel(upstreamSocket, head)
  }

  #openTunnel(upstreamSocket: Socket, head: Buffer): void {
    const { socket, request, route, session, live, clock } = this.#options
    const tunnel = new Tunnel({
      client: socket,
      upstream: upstreamSocket,
      session,
      maxAgeMs: route.maxConnectionAge,
      idleMs: route.plan.upstream.config.timeouts.idle,
      clock,
      onEnding: (reason) => request.record.failed(reason)
    })
    tunnel.open(head, this.#early.stop())
    live.add(tunnel)
    socket.on('close', () => live.remove(tunnel))
  }

  #onResponse(response: IncomingMessage): void {
    const { route, socket } = this.#options
    const { statusCode = 0 } = response
    const headers = buildResponseHead(toBuffers(response.rawHeaders), statusCode, this.#options)
    response.on('error', () => {})
    if (headers === null || statusCode < 200) {
      response.destroy()
      this.#refuse(INVALID_RESPONSE)
      return
    }
    this.#answer(statusCode)
    this.#early.stop()
    relayRefusal(socket, route.plan.upstream.config.timeouts.idle, response, headers)
  }

  #answer(status: number): void {
    // The idle time limits the upstream from here on.
    this.#clearDeadline()
    this.#lease.answered(status)
    this.#status = status
    if (status === 101) this.#request = null
    this.#options.request.record.answered()
  }

  #refuse(error: ApiError): void {
    if (this.#status !== 0) return
    const { socket, request } = this.#options
    this.#early.stop()
    this.#status = error.status
    request.record.failed(error.code)
    writeProblem(socket, error, request.record.requestId)
  }

  #setDeadline(request: ClientRequest, error: Error, ms: number): void {
    const { clock } = this.#options
    clock.clearTimeout(this.#timer)
    this.#timer = clock.setTimeout(() => request.destroy(error), ms)
  }

  #clearDeadline(): void {
    this.#options.clock.clearTimeout(this.#timer)
  }
}

/** Forwards an answer other than 101. Without a length, the end of the connection ends the body
 *  (RFC 9112, section 6.3). */
function relayRefusal(socket: Duplex, idleMs: number, response: IncomingMessage, headers: string[]): void {
  socket.write(formatHead(response.statusCode ?? 502, ['Connection', 'close', ...headers]), 'latin1')
  response.setTimeout(idleMs, () => response.destroy())
  response.on('close', () => {
    // Half a response must not look complete.
    if (response.complete) closeSoon(socket)
    else breakOff(socket)
  })
  response.pipe(socket)
}

function dial(options: UpgradeOptions, target: Target): ClientRequest {
  const { origin, config } = target
  const headers = [
    ...options.headers,
    'Host',
    options.host ?? origin.host,
    'Connection',
    'Upgrade',
    'Upgrade',
    'websocket'
  ]
  const isTls = origin.protocol === 'https:'
  return (isTls ? httpsRequest : httpRequest)({
    method: 'GET',
    host: origin.hostname.replace(/^\[|\]$/g, ''),
    port: origin.port || (isTls ? 443 : 80),
    path: options.path,
    headers,
    agent: false,
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    lookup: target.lookup,
    ...(isTls ? tlsOptions(config.tls) : {})
  })
}

function toBuffers(raw: readonly string[]): Buffer[] {
  return raw.map((text) => Buffer.from(text, 'latin1'))
}
