/** The checksum of a PROXY header of version 2: CRC32c (RFC 4960, appendix B). */
import type { HeaderField } from './header-fields.ts'

const CRC32C = 0x03
const SIZE = 4
/** Reflected polynomial. */
const POLYNOMIAL = 0x82f63b78

/** Tells whether the header holds a checksum and is not the one that was sent. */
export function hasCrcFault(header: Buffer, fields: readonly HeaderField[]): boolean {
  const field = fields.find(({ type }) => type === CRC32C)
  if (field === undefined) return false
  if (field.size !== SIZE) return true
  const plain = Buffer.from(header)
  // The checksum is computed while its own bytes are 0.
  plain.fill(0, field.start, field.start + SIZE)
  return crc32c(plain) !== header.readUInt32BE(field.start)
}

export function crc32c(bytes: Buffer): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
  }
  return (crc ^ 0xffffffff) >>> 0
}
