/** Reads the requests of one connection: bytes of the current body go to its receiver, all others
 *  wait for their turn. */
import type { Socket } from 'node:net'
import { BufferedSocket, type BytesReceiver } from '../http/buffered-socket.ts'
import { type BodyConnection, LaneBody } from './lane-body.ts'
import type { OrdinaryHead } from './recogniser.ts'
import type { ArrivedBody } from './request-connection.ts'

export interface ReaderOwner extends BodyConnection {
  /** No further bytes are used. */
  readonly isOver: boolean
  /** Bytes of a body have come. */
  onBodyBytes(): void
  /** Bytes behind the current request, or of a first one, are unused. */
  onRequestBytes(): void
}

/** Takes the bodies of requests of the general lane. */
export interface GeneralBodies {
  /** False: reading stops. */
  add(part: Buffer): boolean
}

export class RequestReader implements BytesReceiver {
  /** Null: all bytes that were read are used. */
  unused: Buffer | null = null
  /** Offset of the first unused byte. */
  at = 0
  isHolding = false
  /** The current body; null: its bytes are dropped, or belong to the general lane. */
  body: LaneBody | null = null
  readonly #socket: Socket
  readonly #owner: ReaderOwner
  /** The next read overwrites the unused bytes. */
  #isBorrowed = false
  /** Bytes of the current body that have not arrived. */
  #bodyLeft = 0
  #generalBody: GeneralBodies | null = null
  /** Null: the socket has a receiver. */
  #onData: ((chunk: Buffer) => void) | null = null

  constructor(socket: Socket, owner: ReaderOwner) {
    this.#socket = socket
    this.#owner = owner
    if (socket instanceof BufferedSocket) socket.receiver = this
    else this.#listen()
  }

  /** Unused bytes. */
  get waiting(): number {
    return this.unused === null ? 0 : this.unused.length - this.at
  }

  get isReading(): boolean {
    return this.#bodyLeft > 0
  }

  onBytes(bytes: Buffer, isOwn: boolean): void {
    this.isHolding = false
    this.#take(bytes, true, isOwn)
    if (this.unused === null || !this.#isBorrowed) return
    this.unused = Buffer.from(this.unused.subarray(this.at))
    this.at = 0
    this.#isBorrowed = false
  }

  /** Uses a request of the fast lane: its head, and the bytes of its body that have arrived. */
  use(bytes: Buffer, head: OrdinaryHead): ArrivedBody {
    const { bodyStart, contentLength } = head
    const isBorrowed = this.#isBorrowed
    const end = this.#advance(bytes, head)
    this.#generalBody = null
    this.body = null
    if (contentLength === 0) return null
    if (bytes.length >= end) return owned(bytes.subarray(bodyStart, end), isBorrowed)
    this.body = new LaneBody(this.#owner)
    if (bytes.length > bodyStart) this.body.add(bytes.subarray(bodyStart), false, isBorrowed)
    return this.body
  }

  /** Uses a request of the general lane, and gives its bytes that have arrived. */
  usePassed(bytes: Buffer, head: OrdinaryHead, bodies: GeneralBodies): Buffer {
    const isBorrowed = this.#isBorrowed
    const start = this.at
    this.body = null
    this.#generalBody = bodies
    return owned(bytes.subarray(start, this.#advance(bytes, head)), isBorrowed)
  }

  /** The unused bytes, for another reader. */
  leave(bytes: Buffer): Buffer {
    if (this.#socket instanceof BufferedSocket) this.#socket.receiver = null
    else if (this.#onData !== null) this.#socket.off('data', this.#onData)
    return owned(bytes.subarray(this.at), this.#isBorrowed)
  }

  #listen(): void {
    this.#onData = (chunk) => this.#take(chunk, false, false)
    this.#socket.on('data', this.#onData)
  }

  #take(chunk: Buffer, isBorrowed: boolean, isOwn: boolean): void {
    if (this.#owner.isOver) return
    if (this.#bodyLeft > 0) this.#takeBody(chunk, isBorrowed, isOwn)
    else this.#add(chunk, isBorrowed)
    if (this.unused !== null && !this.#owner.isOver) this.#owner.onRequestBytes()
  }

  #takeBody(chunk: Buffer, isBorrowed: boolean, isOwn: boolean): void {
    const size = Math.min(chunk.length, this.#bodyLeft)
    this.#bodyLeft -= size
    const part = size === chunk.length ? chunk : chunk.subarray(0, size)
    if (size < chunk.length) this.#add(chunk.subarray(size), isBorrowed)
    this.#owner.onBodyBytes()
    if (this.body !== null) {
      const isLast = this.#bodyLeft === 0
      // Another connection may read into a shared buffer while the receiver waits.
      this.isHolding = this.body.add(owned(part, isBorrowed && !isOwn), isLast, isBorrowed && isOwn)
    } else if (this.#generalBody?.add(owned(part, isBorrowed)) === false) this.#socket.pause()
  }

  #add(chunk: Buffer, isBorrowed: boolean): void {
    this.#isBorrowed = isBorrowed && this.unused === null
    this.unused = this.unused === null ? chunk : Buffer.concat([this.unused.subarray(this.at), chunk])
    this.at = 0
  }

  /** @returns The offset behind the request. */
  #advance(bytes: Buffer, { bodyStart, contentLength }: OrdinaryHead): number {
    const end = bodyStart + contentLength
    this.unused = bytes.length > end ? bytes : null
    this.at = end
    this.#bodyLeft = Math.max(0, end - bytes.length)
    return end
  }
}

function owned(bytes: Buffer, isBorrowed: boolean): Buffer {
  return isBorrowed ? Buffer.from(bytes) : bytes
}
