/** Headers of the PROXY protocol, as a load balancer writes them. */
import { crc32c } from '../../src/http/proxy-protocol/crc32c.ts'

export function headerV1(source: string, target = source.includes(':') ? '::1' : '127.0.0.1'): string {
  return `PROXY TCP${source.includes(':') ? 6 : 4} ${source} ${target} 40000 443\r\n`
}

export interface HeaderV2 {
  /** Dotted, or 8 groups. */
  readonly source?: string
  /** Version and command: 0x21 PROXY, 0x20 LOCAL. */
  readonly command?: number
  /** Default: TCP over the source's family. */
  readonly family?: number
  /** Type and value of further fields. */
  readonly fields?: readonly (readonly [number, Buffer])[]
  /** Bytes in place of the addresses. */
  readonly addresses?: Buffer
  readonly hasCrc?: boolean
}

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const PORTS = Buffer.from([0x9c, 0x40, 0x01, 0xbb])
const CRC32C = 0x03

export function headerV2({ source = '192.0.2.7', hasCrc = false, ...options }: HeaderV2 = {}): Buffer {
  const address = source.includes(':')
    ? Buffer.from(
        source.split(':').flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
      )
    : Buffer.from(source.split('.').map(Number))
  const addresses = options.addresses ?? Buffer.concat([address, address, PORTS])
  const fields = hasCrc ? [...(options.fields ?? []), [CRC32C, Buffer.alloc(4)] as const] : (options.fields ?? [])
  const rest = Buffer.concat([
    addresses,
    ...fields.flatMap(([type, value]) => [Buffer.from([type, value.length >> 8, value.length & 255]), value])
  ])
  const family = options.family ?? (address.length === 4 ? 0x11 : 0x21)
  const fixed = Buffer.from([options.command ?? 0x21, family, rest.length >> 8, rest.length & 255])
  const header = Buffer.concat([SIGNATURE, fixed, rest])
  if (hasCrc) header.writeUInt32BE(crc32c(header), header.length - 4)
  return header
}
