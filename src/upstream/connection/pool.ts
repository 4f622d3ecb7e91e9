/** The connections to one target: idle ones serve the next requests, the newest first. */
import type { LookupFunction } from 'node:net'
import type { Clock, Timer } from '../../clock.ts'
import type { TlsClientConfig } from '../../config/config.ts'
import type { ReadBuffers } from '../../http/body/read-buffer.ts'
import { Connection, type ConnectionOwner, toError } from './connection.ts'
import { createDialer, type Dialer } from './dial.ts'
import type { ResponseHandler, UpgradeHandler, UpstreamConnection, UpstreamRequest } from './messages.ts'

/** A request may be on its way when the target closes the idle connection. */
const KEEP_ALIVE_MARGIN_MS = 1_000

export interface PoolOptions {
  readonly origin: URL
  readonly tls: TlsClientConfig
  readonly connectTimeoutMs: number
  /** An idle connection is closed after this time. */
  readonly idleMs: number
  /** A connection takes no further request after this time; 0 sets no limit. */
  readonly maxAgeMs: number
  readonly lookup: LookupFunction
  readonly clock: Clock
  readonly buffers: ReadBuffers
}

export class ConnectionPool implements ConnectionOwner {
  readonly dialer: Dialer
  /** Host of requests that name no other. */
  readonly hostName: string
  readonly connectTimeoutMs: number
  readonly clock: Clock
  readonly buffers: ReadBuffers
  readonly #idleMs: number
  readonly #maxAgeMs: number
  readonly #all = new Set<Connection>()
  /** The last one became idle last. */
  readonly #idle: Connection[] = []
  #timer: Timer | undefined
  #isClosed = false

  constructor({ origin, tls, connectTimeoutMs, idleMs, maxAgeMs, lookup, clock, buffers }: PoolOptions) {
    this.dialer = createDialer({ origin, tls, lookup })
    this.hostName = origin.protocol === 'unix:' ? 'localhost' : origin.host
    this.connectTimeoutMs = connectTimeoutMs
    this.clock = clock
    this.buffers = buffers
    this.#idleMs = idleMs
    this.#maxAgeMs = maxAgeMs === 0 ? Number.POSITIVE_INFINITY : maxAgeMs
  }

  /** Open connections, those of WebSockets included. */
  get open(): number {
    return this.#all.size
  }

  get idle(): number {
    return this.#idle.length
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Returns null when Node refuses to open a connection: the handler gets the error later.
   *  @param now Monotonic milliseconds. */
  send(
    request: UpstreamRequest,
    handler: ResponseHandler,
    now: number = this.clock.monotonic()
  ): UpstreamConnection | null {
    const connection = this.#takeIdle(now) ?? this.#connect(handler, null)
    connection?.send(request, handler, now)
    return connection
  }

  /** Sends a WebSocket handshake on a connection of its own. */
  upgrade(request: UpstreamRequest, handler: UpgradeHandler): UpstreamConnection | null {
    const connection = this.#connect(handler, handler)
    connection?.send(request, handler, this.clock.monotonic())
    return connection
  }

  /** Closes each connection after its request. Later requests get connections of their own. */
  close(): void {
    this.#isClosed = true
    this.clock.clearTimeout(this.#timer)
    for (const connection of [...this.#idle]) connection.destroy()
  }

  /** Breaks off running requests and WebSockets. */
  destroy(): void {
    this.close()
    for (const connection of [...this.#all]) connection.destroy()
  }

  onIdle(connection: Connection): void {
    const now = this.clock.monotonic()
    const { keepAliveSeconds: seconds, openedAt } = connection
    const idleMs = seconds < 0 ? this.#idleMs : Math.min(this.#idleMs, seconds * 1_000 - KEEP_ALIVE_MARGIN_MS)
    connection.usableUntil = Math.min(now + idleMs, openedAt + this.#maxAgeMs)
    if (this.#isClosed || connection.usableUntil <= now) {
      connection.destroy()
      return
    }
    this.#idle.push(connection)
    if (this.#timer === undefined) this.#startTimer()
  }

  onClosed(connection: Connection): void {
    this.#all.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
  }

  #takeIdle(now: number): Connection | null {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined) return null
      if (connection.isOpen && connection.usableUntil > now) return connection
      connection.destroy()
    }
  }

  #connect(handler: ResponseHandler, upgrade: UpgradeHandler | null): Connection | null {
    try {
      const connection = new Connection(this, upgrade)
      this.#all.add(connection)
      return connection
    } catch (error) {
      queueMicrotask(() => handler.onError(toError(error)))
      return null
    }
  }

  #startTimer(): void {
    this.#timer = this.clock.setTimeout(() => this.#closeExpired(), this.#idleMs)
    this.#timer.unref()
  }

  #closeExpired(): void {
    this.#timer = undefined
    const now = this.clock.monotonic()
    for (const connection of [...this.#idle]) if (connection.usableUntil <= now) connection.destroy()
    if (this.#idle.length > 0) this.#startTimer()
  }
}
