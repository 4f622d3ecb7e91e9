/** The body of a request on the fast lane that arrives after its head. */
import type { BodyReceiver, BodySource } from '../http/body/request-body.ts'

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
  #receiver: BodyReceiver | null = null
  #isPaused = true
  #hasEnded = false

  constructor(connection: BodyConnection) {
    this.#connection = connection
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  start(receiver: BodyReceiver): void {
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
      this.#receiver?.onBodyData(part)
      part = this.#canDeliver() ? this.#held.shift() : undefined
    }
    if (!this.#canDeliver()) return
    if (this.#hasEnded) this.#receiver?.onBodyEnd()
    else this.#connection.resumeBody()
  }

  /** Bytes have arrived. */
  add(part: Buffer, isLast: boolean): void {
    this.#hasEnded = isLast
    if (this.#canDeliver() && this.#held.length === 0) {
      this.#receiver?.onBodyData(part)
      if (isLast && this.#canDeliver()) this.#receiver?.onBodyEnd()
    } else {
      this.#held.push(part)
      this.#heldBytes += part.length
    }
    if (!isLast && !this.#canDeliver() && this.#heldBytes >= MAX_HELD) this.#connection.pauseBody()
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
