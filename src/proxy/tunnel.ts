/** Joins the two sockets of a WebSocket: bytes pass in both directions at the pace of the slower
 *  side. The gateway can end the connection between two frames. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import { closeSoon } from '../http/answer/send-problem.ts'
import { closeFrame, FrameTracker, maskedCloseFrame } from './frames.ts'
import type { EndReason, LiveConnection } from './live-connections.ts'

/** After this much silence the kernel checks that the other side still exists. */
const KEEP_ALIVE_MS = 60_000
/** Time for one side to end after the other. */
const HALF_OPEN_MS = 5_000
/** Time for an incomplete frame before the connection ends inside it. */
const FRAME_MS = 1_000

/** RFC 6455, section 7.4.1: the endpoint is going away. */
const GOING_AWAY = 1001
/** Private use (section 7.4.2): the WebSocket form of status 401. */
const UNAUTHORIZED = 4401

export interface TunnelOptions {
  readonly client: Duplex
  readonly upstream: Socket
  readonly session: LiveConnection['session']
  readonly maxAgeMs: number
  /** Limit for silence in both directions. */
  readonly idleMs: number
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  /** Called when the gateway ends the connection. */
  readonly onEnding: (reason: EndReason) => void
}

export class Tunnel implements LiveConnection {
  readonly session: LiveConnection['session']
  readonly maxAgeMs: number
  readonly #options: TunnelOptions
  readonly #toClient = new FrameTracker()
  readonly #toUpstream = new FrameTracker()
  /** 0 until the gateway ends the connection. */
  #code = 0

  constructor(options: TunnelOptions) {
    this.#options = options
    this.session = options.session
    this.maxAgeMs = options.maxAgeMs
  }

  /** @param fromUpstream Bytes that came behind the 101.
   *  @param fromClient Bytes that came before it. */
  open(fromUpstream: Buffer, fromClient: readonly Buffer[]): void {
    const { client, upstream, idleMs } = this.#options
    upstream.setTimeout(idleMs, () => this.#destroy())
    upstream.setKeepAlive(true, KEEP_ALIVE_MS)
    if ('setKeepAlive' in client) (client as Socket).setKeepAlive(true, KEEP_ALIVE_MS)
    if (fromUpstream.length > 0) this.#onUpstreamData(fromUpstream)
    for (const chunk of fromClient) this.#onClientData(chunk)
    upstream.on('data', this.#onUpstreamData)
    client.on('data', this.#onClientData)
    upstream.on('drain', () => client.resume())
    client.on('drain', () => upstream.resume())
    upstream.on('end', () => this.#halfClosed(client))
    client.on('end', () => this.#halfClosed(upstream))
    // Bytes sent before an orderly end are still on their way to the other side.
    upstream.on('close', () => {
      if (upstream.readableEnded) closeSoon(client)
      else if (this.#code === 0) client.destroy()
    })
    client.on('close', () => {
      if (client.readableEnded) closeSoon(upstream)
      else upstream.destroy()
    })
    client.resume()
  }

  end(reason: EndReason): void {
    if (this.#code !== 0) return
    const { clock, client, onEnding } = this.#options
    this.#code = reason === 'max_age' || reason === 'draining' ? GOING_AWAY : UNAUTHORIZED
    onEnding(reason)
    if (this.#toClient.isAtBoundary) {
      this.#close()
      return
    }
    const timer = clock.setTimeout(() => this.#destroy(), FRAME_MS)
    client.once('finish', () => clock.clearTimeout(timer))
    client.once('close', () => clock.clearTimeout(timer))
  }

  readonly #onUpstreamData = (chunk: Buffer): void => {
    const { client, upstream } = this.#options
    if (this.#code === 0) {
      this.#toClient.track(chunk)
      if (!client.write(chunk)) upstream.pause()
      return
    }
    const end = this.#toClient.trackFrame(chunk, 0)
    client.write(end < 0 ? chunk : chunk.subarray(0, end))
    if (end >= 0) this.#close()
  }

  readonly #onClientData = (chunk: Buffer): void => {
    const { client, upstream } = this.#options
    this.#toUpstream.track(chunk)
    if (!upstream.write(chunk)) client.pause()
  }

  /** Sends close frames to both sides, which then have some seconds to close. */
  #close(): void {
    const { client, upstream } = this.#options
    upstream.off('data', this.#onUpstreamData)
    client.off('data', this.#onClientData)
    client.end(closeFrame(this.#code))
    if (this.#toUpstream.isAtBoundary) upstream.end(maskedCloseFrame(GOING_AWAY))
    else upstream.end()
    closeSoon(client)
    closeSoon(upstream)
  }

  #halfClosed(other: Duplex): void {
    const { clock, client, upstream } = this.#options
    other.end()
    const timer = clock.setTimeout(() => this.#destroy(), HALF_OPEN_MS)
    const clear = () => {
      if (client.destroyed && upstream.destroyed) clock.clearTimeout(timer)
    }
    client.once('close', clear)
    upstream.once('close', clear)
  }

  #destroy(): void {
    this.#options.client.destroy()
    this.#options.upstream.destroy()
  }
}
