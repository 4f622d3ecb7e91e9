/** Buffers that sockets of upstreams read into. Small reads share one buffer for all connections;
 *  a body that fills it gets larger buffers of its own. */

/** Bytes of one read. */
const SHARED_BYTES = 64 * 1024
const OWN_BYTES = 128 * 1024
/** A smaller part of an own buffer is copied, so that it does not keep the whole. */
const WORTH_KEEPING_BYTES = 32 * 1024

export interface ReadBuffers {
  readonly shared: Buffer
}

export function createReadBuffers(): ReadBuffers {
  return { shared: Buffer.allocUnsafeSlow(SHARED_BYTES) }
}

/** The buffer of one connection. */
export class ReadBuffer {
  readonly #shared: Buffer
  #own: Buffer | null = null
  #isTaken = false
  #isFull = false

  constructor({ shared }: ReadBuffers) {
    this.#shared = shared
  }

  /** The buffer of the next read. */
  next(): Buffer {
    if (!this.#isFull) this.#own = null
    else if (this.#own === null || this.#isTaken) this.#own = Buffer.allocUnsafeSlow(OWN_BYTES)
    this.#isTaken = false
    return this.#own ?? this.#shared
  }

  /** Call at each read.
   *  @param isBody The bytes belong to a body that goes on. */
  filled(size: number, isBody: boolean): void {
    // The kernel has more than one small buffer holds.
    this.#isFull = isBody && size >= SHARED_BYTES
  }

  /** Bytes of the current buffer that the receiver may keep. */
  keep(chunk: Buffer): Buffer {
    if (this.#own === null || chunk.length < WORTH_KEEPING_BYTES) return Buffer.from(chunk)
    this.#isTaken = true
    return chunk
  }
}
