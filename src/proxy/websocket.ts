/** WebSocket handshakes (RFC 6455): sent to an upstream like any other request. After its 101
 *  the two sockets are joined. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { ApiError } from '../errors.ts'
import { formatHead, writeProblem } from '../http/answer/send-problem.ts'
import type { Guard } from '../http/guard.ts'
import type { OwnLines } from '../http/headers/header-lines.ts'
import type { ResponseHeaders } from '../http/headers/response-headers.ts'
import { CLIENT_CLOSED_REQUEST } from '../http/record.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Asker, Lease } from '../upstream/attempts.ts'
import type { UpgradeHandler, UpstreamConnection } from '../upstream/connection/messages.ts'
import { causeOf, INVALID_RESPONSE, isOwnFault, toUpstreamError, UPSTREAM_TIMEOUT } from '../upstream/failures.ts'
import type { Target } from '../upstream/target.ts'
import { type EarlyBytes, readEarly } from './early-bytes.ts'
import type { LiveConnection, LiveConnections } from './live-connections.ts'
import { deadlineOf, type PlannedRoute } from './plan.ts'
import { Refusal } from './refusal.ts'
import { buildResponseHead } from './response-head.ts'
import { Tunnel } from './tunnel.ts'
import { prepareRetry } from './upstream-head.ts'

export interface UpgradeOptions {
  readonly socket: Duplex
  /** Bytes that arrived behind the request's head. */
  readonly head: Buffer
  readonly request: AdmittedRequest
  readonly route: PlannedRoute
  readonly path: string
  readonly headers: readonly string[]
  /** Lines behind these headers. A further try may replace its traceparent. */
  own: OwnLines
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

const HANDSHAKE = { method: 'GET', body: null, bodyLength: 0 }

class Handshake implements UpgradeHandler, Asker {
  readonly #options: UpgradeOptions
  readonly #lease: Lease
  readonly #early: EarlyBytes
  readonly #deadlineAt: number
  /** 0 until the client has an answer. */
  #status = 0
  #connection: UpstreamConnection | null = null
  #wasSent = false
  /** Null until the upstream has given an answer other than 101. */
  #refusal: Refusal | null = null

  constructor(options: UpgradeOptions) {
    const { route, balanceKey: key, socket, head, clock } = options
    this.#options = options
    // A sent handshake may have had an effect: it is not repeated.
    const deadlineAt = deadlineOf(route, clock)
    this.#lease = route.plan.upstream.attempts({ key, method: 'GET', isReplayable: false, deadlineAt })
    this.#early = readEarly(socket, head)
    this.#deadlineAt = deadlineAt
  }

  start(): void {
    const { socket, onEnd } = this.#options
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.#refusal?.close()
      this.#lease.stopWaiting()
      // The lease of an open WebSocket ends with the upstream's socket.
      if (this.#connection !== null) this.#lease.done()
      this.#connection?.abort(this)
      onEnd(this.#status === 0 ? CLIENT_CLOSED_REQUEST : this.#status)
    })
    this.#attempt()
  }

  #attempt(): void {
    const target = this.#lease.next()
    if (target === null) this.#lease.wait(this)
    else this.onTarget(target)
  }

  onNoTarget(error: ApiError, reason: string): void {
    this.#refuse(error, reason)
  }

  onTarget(target: Target): void {
    const { request, route, path, host, headers, own } = this.#options
    this.#wasSent = false
    request.record.attempted(target, path)
    const { responseTimeoutMs } = route.plan
    const deadlineAt = this.#deadlineAt
    const handshake = { ...HANDSHAKE, path, host, headers, own, responseTimeoutMs, deadlineAt }
    this.#connection = target.pool.upgrade(handshake, this)
  }

  onSent(): void {
    this.#wasSent = true
  }

  onInformational(): void {}

  onUpgrade(raw: string[], upstreamSocket: Socket, rest: Buffer): void {
    const { socket } = this.#options
    this.#connection = null
    const headers = buildResponseHead(raw, 101, this.#options.responseHeaders, this.#options)
    upstreamSocket.on('error', () => {})
    if (headers === null || !isWebSocket(raw)) throw INVALID_RESPONSE
    // The client left in this moment.
    if (socket.destroyed) {
      upstreamSocket.destroy()
      this.#lease.done()
      return
    }
    this.#answer(101)
    upstreamSocket.on('close', () => this.#lease.done())
    socket.write(formatHead(101, ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...headers]), 'latin1')
    this.#openTunnel(upstreamSocket, rest)
  }

  #openTunnel(upstreamSocket: Socket, rest: Buffer): void {
    const { socket, request, route, session, live, clock } = this.#options
    const tunnel = new Tunnel({
      client: socket,
      upstream: upstreamSocket,
      session,
      maxAgeMs: route.maxConnectionAge,
      idleMs: route.plan.upstream.config.timeouts.idle,
      clock,
      onEnding: (reason) => request.record.ended(reason)
    })
    tunnel.open(rest, this.#early.stop())
    live.add(tunnel)
    socket.on('close', () => live.remove(tunnel))
  }

  onHead(status: number, raw: string[]): void {
    const { route, socket, clock } = this.#options
    const headers = buildResponseHead(raw, status, this.#options.responseHeaders, this.#options)
    if (headers === null) throw INVALID_RESPONSE
    this.#answer(status)
    this.#early.stop()
    const refusal = new Refusal({
      socket,
      clock,
      idleMs: route.plan.upstream.config.timeouts.idle,
      onDrain: () => this.#connection?.resume(this),
      onSilence: () => this.#connection?.fail(this, UPSTREAM_TIMEOUT)
    })
    this.#refusal = refusal
    refusal.start(status, headers)
  }

  onData(chunk: Buffer): boolean {
    return this.#refusal?.write(chunk) ?? true
  }

  onEnd(): void {
    this.#connection = null
    this.#lease.done()
    this.#refusal?.end()
  }

  /** Called for a throw of a method of this handler too. */
  onError(error: unknown): void {
    const { guard, request, socket } = this.#options
    this.#connection = null
    if (this.#status !== 0) {
      this.#lease.done()
      // A throw behind the answer: the guard reports it.
      if (isOwnFault(error)) guard.toApiError(error, request.record)
      if (this.#refusal === null) socket.destroy()
      else this.#refusal.breakOff()
    } else if (this.#lease.failed(error, this.#wasSent)) {
      prepareRetry({ head: this.#options, request }, causeOf(error))
      this.#attempt()
    } else if (isOwnFault(error)) this.#refuse(guard.toApiError(error, request.record), '')
    else this.#refuse(toUpstreamError(error, this.#wasSent), causeOf(error))
  }

  #answer(status: number): void {
    this.#lease.answered(status)
    this.#status = status
    this.#options.request.record.answered(status)
  }

  /** @param cause A word for the log. */
  #refuse(error: ApiError, cause: string): void {
    if (this.#status !== 0) return
    const { socket, request } = this.#options
    this.#early.stop()
    this.#status = error.status
    request.record.failed(cause === '' ? error.code : `${error.code}:${cause}`)
    writeProblem(socket, error, request.record.requestId)
  }
}

function isWebSocket(head: readonly string[]): boolean {
  const index = head.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === 'upgrade')
  return head[index + 1]?.toLowerCase() === 'websocket'
}
