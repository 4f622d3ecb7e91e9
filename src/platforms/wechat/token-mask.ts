/** Masks an access token in answers: a server could repeat the request line, as redirects and
 *  error pages do. Masked bytes keep their number, so Content-Length stays true. */
import { type Readable, Transform } from 'node:stream'

const MASK = '*'

export interface TokenMask {
  /** True for text that holds the token. */
  isIn(text: string): boolean
  /** Masks in place. */
  bytes(bytes: Buffer): void
  /** The stream with the token masked, also where it is split between two chunks. Destroying it
   *  destroys the source. */
  stream(source: Readable): Readable
}

export function createTokenMask(token: string): TokenMask {
  const spellings = [...new Set([token, encodeURIComponent(token)])]
  const patterns = spellings.map((text) => Buffer.from(text))

  function bytes(buffer: Buffer): void {
    for (const pattern of patterns) {
      for (let at = buffer.indexOf(pattern); at >= 0; at = buffer.indexOf(pattern, at + pattern.length))
        buffer.fill(MASK, at, at + pattern.length)
    }
  }

  /** Length of the longest end of the buffer that begins a pattern. */
  function openEnd(buffer: Buffer): number {
    let longest = 0
    for (const pattern of patterns) {
      let length = Math.min(buffer.length, pattern.length - 1)
      while (length > longest && !buffer.subarray(buffer.length - length).equals(pattern.subarray(0, length))) length--
      longest = Math.max(longest, length)
    }
    return longest
  }

  return {
    isIn: (text) => spellings.some((spelling) => text.includes(spelling)),
    bytes,
    stream(source) {
      let held: Buffer = Buffer.alloc(0)
      const masked = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          const all = held.length === 0 ? chunk : Buffer.concat([held, chunk])
          bytes(all)
          const end = all.length - openEnd(all)
          held = all.subarray(end)
          done(null, end === 0 ? undefined : all.subarray(0, end))
        },
        flush(done) {
          done(null, held)
        }
      })
      source.once('error', (error) => masked.destroy(error))
      masked.once('close', () => source.destroy())
      return source.pipe(masked)
    }
  }
}
