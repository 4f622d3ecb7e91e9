/** The body of a request on the fast lane that arrives after its head. */
import type { BodySource, SourceReceiver } from '../http/body/request-body.ts'

/** The connection that a body arrives on. */
export interface BodyConnection {
  pauseBody(): void
  resumeBody(): void
}

/** Bytes that are held before the body is read, as by a stream of Node. */
const MAX_HELD = 64 * 1024

export class LaneBody implements BodySource {
  readonly #connection: BodyConnection
  readonly #held: Buffer[] = []
  #heldBytes = 0
  #receiver: SourceReceiver | null = null
  #isPaused = true
  #hasEnded = false

  constructor(connection: BodyConnection) {
    this.#connection = connection
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  start(receiver: SourceReceiver): void {
    this.#receiver = receiver
    this.#isPaused = true
  }

  stop(): void {
    this.#receiver = null
    this.#isPaused = true
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused || this.#receiver === null) return
    this.#isPaused = false
    let part = this.#held.shift()
    while (part !== undefined) {
      this.#heldBytes -= part.length
      this.#receiver?.onBodyData(part, false)
      part = this.#canDeliver() ? this.#held.shift() : undefined
    }
    if (!this.#canDeliver()) return
    if (this.#hasEnded) this.#receiver?.onBodyEnd()
    else this.#connection.resumeBody()
  }

  /** Bytes have arrived.
   *  @param isBorrowed They may be used while reading is paused, and until this method returns.
   *  @returns True while the receiver uses them. */
  add(part: Buffer, isLast: boolean, isBorrowed: boolean): boolean {
    this.#hasEnded = isLast
    let isHeld = false
    if (this.#canDeliver() && this.#held.length === 0) {
      this.#receiver?.onBodyData(part, isBorrowed)
      isHeld = isBorrowed && this.#receiver !== null && this.#isPaused
      if (isLast && this.#canDeliver()) this.#receiver?.onBodyEnd()
    } else {
      this.#held.push(isBorrowed ? Buffer.from(part) : part)
      this.#heldBytes += part.length
    }
    const mustWait = isHeld || (!this.#canDeliver() && this.#heldBytes >= MAX_HELD)
    if (mustWait && !isLast) this.#connection.pauseBody()
    return isHeld
  }

  /** The client disconnected. */
  lost(): void {
    if (!this.#hasEnded) this.#receiver?.onBodyLost()
  }

  /** The receiver may pause or stop within a call. */
  #canDeliver(): boolean {
    return this.#receiver !== null && !this.#isPaused
  }
}
