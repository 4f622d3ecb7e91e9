/** Buffers that sockets of upstreams read into. Small reads share one buffer for all connections
 *  and are copied; a body that fills it gets a larger buffer of its own, which is read again and
 *  again. */

/** Bytes of one read. */
const SHARED_BYTES = 64 * 1024
const OWN_BYTES = 256 * 1024
/** Buffers that wait for the next large body. */
const MAX_FREE = 8

export interface ReadBuffers {
  readonly shared: Buffer
  readonly free: Buffer[]
}

export function createReadBuffers(): ReadBuffers {
  return { shared: Buffer.allocUnsafeSlow(SHARED_BYTES), free: [] }
}

/** The buffer of one connection. */
export class ReadBuffer {
  readonly #buffers: ReadBuffers
  #own: Buffer | null = null
  #needsOwn = false

  constructor(buffers: ReadBuffers) {
    this.#buffers = buffers
  }

  /** Bytes of the current read are overwritten by the next one of this connection, and by no other
   *  connection. */
  get isOwn(): boolean {
    return this.#own !== null
  }

  /** The buffer of the next read. */
  next(): Buffer {
    if (!this.#needsOwn) return this.#buffers.shared
    this.#own ??= this.#buffers.free.pop() ?? Buffer.allocUnsafeSlow(OWN_BYTES)
    return this.#own
  }

  /** Call at each read.
   *  @param isBody The bytes belong to a body that goes on.
   *  @param isHeld The receiver still uses them. */
  filled(size: number, isBody: boolean, isHeld: boolean): void {
    // The kernel has more than one small buffer holds.
    this.#needsOwn = isBody && size >= SHARED_BYTES
    if (this.#needsOwn || this.#own === null) return
    const { free } = this.#buffers
    if (!isHeld && free.length < MAX_FREE) free.push(this.#own)
    this.#own = null
  }
}
