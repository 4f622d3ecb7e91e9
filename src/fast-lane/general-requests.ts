/** Requests of a connection that Node's HTTP server answers while the lane keeps the connection:
 *  those with an ordinary head and another target. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { ClientConnection } from '../http/connections.ts'
import type { LaneServer } from '../http/lane.ts'

export interface GeneralOwner {
  /** The request is answered. */
  onAnswered(): void
  /** Node's server can take more of the request. */
  onWanted(): void
  /** The client is slower than the answer. */
  onSlow(): void
  /** Node's server ends the connection. */
  onLast(): void
}

/** Node's server takes this stream for a connection: it reads what `add` gave, and its answers go
 *  to the client's socket. */
class GeneralSide extends Duplex {
  readonly #socket: Socket
  readonly #owner: GeneralOwner
  #isDetached = false

  constructor(socket: Socket, owner: GeneralOwner) {
    super({ decodeStrings: false })
    this.#socket = socket
    this.#owner = owner
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress
  }

  get localAddress(): string | undefined {
    return this.#socket.localAddress
  }

  get bytesRead(): number {
    return this.#socket.bytesRead
  }

  /** False: `onWanted` is called when there is room for more. */
  add(bytes: Buffer): boolean {
    return this.push(bytes)
  }

  /** Ends the stream; the socket stays open. */
  detach(): void {
    this.#isDetached = true
    this.destroy()
  }

  /** As a socket: ends, then closes. */
  destroySoon(): void {
    this.once('finish', () => this.destroy())
    this.end()
  }

  resetAndDestroy(): void {
    this.#socket.resetAndDestroy()
  }

  override _read(): void {
    this.#owner.onWanted()
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (typeof chunk === 'string') this.#socket.write(chunk, encoding, done)
    else this.#socket.write(chunk, done)
    if (this.#socket.writableNeedDrain) this.#owner.onSlow()
  }

  override _writev(
    chunks: readonly { chunk: Buffer | string; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void
  ): void {
    const socket = this.#socket
    const last = chunks.length - 1
    socket.cork()
    for (const [index, { chunk, encoding }] of chunks.entries())
      this._write(chunk, encoding, index === last ? done : () => {})
    socket.uncork()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#owner.onLast()
    if (this.#socket.writable) this.#socket.end(() => done())
    else done()
  }

  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isDetached) {
      this.#owner.onLast()
      this.#socket.destroy()
    }
    done()
  }
}

export class GeneralRequests {
  readonly #socket: Socket
  readonly #client: ClientConnection
  readonly #server: Pick<LaneServer, 'open'>
  readonly #owner: GeneralOwner
  #side: GeneralSide | null = null
  #isUnderWay = false

  constructor(socket: Socket, client: ClientConnection, server: Pick<LaneServer, 'open'>, owner: GeneralOwner) {
    this.#socket = socket
    this.#client = client
    this.#server = server
    this.#owner = owner
  }

  /** Node's server has a request that is not answered. */
  get isUnderWay(): boolean {
    return this.#isUnderWay
  }

  /** False: `onWanted` is called when there is room for more of the request.
   *  @param bytes The head, and the part of the body that has arrived.
   *  @param reason A word for the metrics. */
  begin(bytes: Buffer, reason: string): boolean {
    this.#isUnderWay = true
    this.#client.laneReason = reason
    this.#side ??= this.#open()
    return this.#side.add(bytes)
  }

  /** As `begin`, for the rest of the body. */
  add(bytes: Buffer): boolean {
    return this.#side?.add(bytes) ?? true
  }

  /** The client sends nothing more. */
  end(): void {
    this.#side?.push(null)
  }

  /** The socket goes to Node's server itself. */
  detach(): void {
    this.#client.onAnswered = null
    this.#side?.detach()
  }

  destroy(): void {
    this.#side?.destroy()
  }

  #open(): GeneralSide {
    const side = new GeneralSide(this.#socket, this.#owner)
    this.#client.onAnswered = () => {
      this.#isUnderWay = false
      this.#owner.onAnswered()
    }
    this.#server.open(side, this.#client)
    return side
  }
}
