/** The bytes of one connection: those of the current body that are due, and those that were read
 *  and not used. */
import type { OrdinaryHead } from './recogniser.ts'

export class RequestBytes {
  /** Bytes of the current body that have not arrived. */
  bodyLeft = 0
  /** Null: all bytes that were read are used. */
  unused: Buffer | null = null
  /** Offset of the first unused byte. */
  at = 0

  add(chunk: Buffer): void {
    this.unused = this.unused === null ? chunk : Buffer.concat([this.unused.subarray(this.at), chunk])
    this.at = 0
  }

  /** Uses the head and the body of a request, as far as they have arrived.
   *  @returns The offset after them. */
  use(bytes: Buffer, { bodyStart, contentLength }: OrdinaryHead): number {
    const end = bodyStart + contentLength
    this.unused = bytes.length > end ? bytes : null
    this.at = end
    this.bodyLeft = Math.max(0, end - bytes.length)
    return end
  }

  /** Uses the part of a chunk that belongs to the current body. */
  useBody(chunk: Buffer): Buffer {
    const size = Math.min(chunk.length, this.bodyLeft)
    this.bodyLeft -= size
    if (size === chunk.length) return chunk
    this.add(chunk.subarray(size))
    return chunk.subarray(0, size)
  }
}
