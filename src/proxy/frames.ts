/** WebSocket frames (RFC 6455, section 5.2): their boundaries, and close frames. */

/** Second header byte: a mask follows. */
const MASKED = 0x80
const CLOSE = 0x88

/** Tracks the frame boundaries of one direction: a close frame must stand between two frames. */
export class FrameTracker {
  readonly #header = Buffer.alloc(14)
  #headerSize = 0
  #payloadLeft = 0

  get isAtBoundary(): boolean {
    return this.#headerSize === 0 && this.#payloadLeft === 0
  }

  track(chunk: Buffer): void {
    for (let start = 0; start >= 0 && start < chunk.length; ) start = this.trackFrame(chunk, start)
  }

  /** Reads to the end of one frame. Returns the offset after it, or -1 when the chunk ends
   *  before. */
  trackFrame(chunk: Buffer, start: number): number {
    let at = start
    while (at < chunk.length) {
      if (this.#payloadLeft === 0) {
        this.#header[this.#headerSize++] = chunk[at++] as number
        if (this.#headerSize < 2 || this.#headerSize < this.#headerLength) continue
        this.#payloadLeft = this.#payloadLength
        this.#headerSize = 0
      } else {
        const step = Math.min(this.#payloadLeft, chunk.length - at)
        this.#payloadLeft -= step
        at += step
      }
      if (this.#payloadLeft === 0) return at
    }
    return -1
  }

  get #headerLength(): number {
    const second = this.#header[1] as number
    const short = second & 0x7f
    return 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (second & MASKED ? 4 : 0)
  }

  get #payloadLength(): number {
    const short = (this.#header[1] as number) & 0x7f
    if (short < 126) return short
    return short === 126 ? this.#header.readUInt16BE(2) : Number(this.#header.readBigUInt64BE(2))
  }
}

/** To a client. */
export function closeFrame(code: number): Buffer {
  return Buffer.from([CLOSE, 2, code >> 8, code & 0xff])
}

/** To a server: masked, like every frame of a client (RFC 6455, section 5.3). The mask is zero. */
export function maskedCloseFrame(code: number): Buffer {
  return Buffer.from([CLOSE, MASKED | 2, 0, 0, 0, 0, code >> 8, code & 0xff])
}
