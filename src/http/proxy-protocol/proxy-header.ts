/** The header of the PROXY protocol, versions 1 and 2
 *  (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). */
import { isIPv4, isIPv6 } from 'node:net'
import { canonicalAddress } from '../network.ts'
import { hasCrcFault } from './crc32c.ts'
import { readFields } from './header-fields.ts'

export interface ProxyHeader {
  /** Bytes. */
  readonly length: number
  /** Canonical address of the client. Null: the peer speaks for itself, or does not know. */
  readonly address: string | null
  /** The client's connection to the peer was TLS, as version 2 can tell. */
  readonly isTls: boolean
}

export type HeaderReading = ProxyHeader | 'incomplete' | 'invalid'

/** The longest line of version 1, with CRLF. */
const V1_MAX = 107
const V1_START = Buffer.from('PROXY ')
const V1_LINE =
  /^PROXY (?:UNKNOWN(?: .*)?|TCP(?<family>[46]) (?<source>[0-9a-fA-F.:]+) (?<target>[0-9a-fA-F.:]+) (?<from>\d{1,5}) (?<to>\d{1,5}))\r\n$/s
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_FIXED = 16
/** Bytes that are accepted of version 2; nginx has the same limit. */
const V2_MAX = 4096
const MAX_PORT = 65_535

/** @param bytes From the first byte of the connection. */
export function readProxyHeader(bytes: Buffer): HeaderReading {
  if (startsLike(bytes, V1_START)) return readV1(bytes)
  return startsLike(bytes, V2_START) ? readV2(bytes) : 'invalid'
}

/** True as long as the bytes may become `start`. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, length, 0, length) === 0
}

function readV1(bytes: Buffer): HeaderReading {
  const length = bytes.subarray(0, V1_MAX).indexOf(0x0a) + 1
  if (length === 0) return bytes.length >= V1_MAX ? 'invalid' : 'incomplete'
  const parts = V1_LINE.exec(bytes.toString('latin1', 0, length))
  if (parts === null) return 'invalid'
  const { family, source = '', target = '', from = '', to = '' } = parts.groups ?? {}
  if (family === undefined) return { length, address: null, isTls: false }
  const isAddress = family === '4' ? isIPv4 : isIPv6
  const isValid = isAddress(source) && isAddress(target) && isPort(from) && isPort(to)
  return isValid ? { length, address: canonicalAddress(source), isTls: false } : 'invalid'
}

function isPort(text: string): boolean {
  return String(Number(text)) === text && Number(text) <= MAX_PORT
}

/** Bytes of the two addresses and ports, by family and transport. */
const ADDRESS_BYTES: Readonly<Record<number, number>> = {
  0: 0,
  17: 12,
  18: 12,
  33: 36,
  34: 36,
  49: 216,
  50: 216
}
const LOCAL = 0x20
const PROXY = 0x21
const TCP4 = 0x11
const TCP6 = 0x21
/** Type of the field about the client's TLS, and its bit for "connected over TLS". */
const SSL = 0x20
const CLIENT_SSL = 0x01

function readV2(bytes: Buffer): HeaderReading {
  if (bytes.length < V2_FIXED) return 'incomplete'
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const length = V2_FIXED + bytes.readUInt16BE(14)
  if ((command !== LOCAL && command !== PROXY) || length > V2_MAX) return 'invalid'
  const fieldsAt = V2_FIXED + (ADDRESS_BYTES[family] ?? Number.POSITIVE_INFINITY)
  if (command === PROXY && fieldsAt > length) return 'invalid'
  if (bytes.length < length) return 'incomplete'
  const own: ProxyHeader = { length, address: null, isTls: false }
  if (command === LOCAL || family === 0) return own
  const header = bytes.subarray(0, length)
  const fields = readFields(header, fieldsAt)
  if (fields === null || hasCrcFault(header, fields)) return 'invalid'
  const address = family === TCP4 ? ipv4(header) : family === TCP6 ? ipv6(header) : null
  if (address === null) return own
  const ssl = fields.find(({ type }) => type === SSL)
  return { length, address, isTls: ssl !== undefined && ((header[ssl.start] ?? 0) & CLIENT_SSL) !== 0 && ssl.size > 0 }
}

function ipv4(header: Buffer): string {
  return header.subarray(V2_FIXED, V2_FIXED + 4).join('.')
}

function ipv6(header: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => header.readUInt16BE(V2_FIXED + 2 * index).toString(16))
  return canonicalAddress(groups.join(':'))
}
