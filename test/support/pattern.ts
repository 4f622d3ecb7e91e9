/** Bodies of any size that need no memory. */
import { createHash } from 'node:crypto'

/** A body repeats these bytes; no power of two divides their number. */
export const PATTERN = Buffer.alloc(65_521, Buffer.from(Array.from({ length: 251 }, (_, byte) => byte)))

/** A body of `bytes` bytes, as chunks. */
export function* patternChunks(bytes: number): Generator<Buffer> {
  for (let left = bytes; left > 0; left -= PATTERN.length) yield PATTERN.subarray(0, Math.min(left, PATTERN.length))
}

/** SHA-256 of the body of `bytes` bytes, in hex. */
export function patternHash(bytes: number): string {
  const hash = createHash('sha256')
  for (const chunk of patternChunks(bytes)) hash.update(chunk)
  return hash.digest('hex')
}
