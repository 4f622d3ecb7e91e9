/** Reads status lines (RFC 9112, section 4). */
import { isValueByte } from '../../http/wire/field-lines.ts'
import { ResponseFault } from './response-fault.ts'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const ZERO = 0x30
const NINE = 0x39

const VERSION_PREFIX = Buffer.from('HTTP/1.')
/** Length of `HTTP/1.1 200`. */
const STATUS_END = 12

/** @returns The offset after the line, or -1 when it is not complete.
 *  @throws ResponseFault */
export function scanStatusLine(bytes: Uint8Array, from: number, end: number): number {
  let at = from
  for (let index = 0; index < VERSION_PREFIX.length; index++, at++) {
    if (at >= end) return -1
    if (bytes[at] !== VERSION_PREFIX[index])
      throw new ResponseFault('HTTP_VERSION', 'a response does not start with HTTP/1.')
  }
  const minor = bytes[at]
  if (at >= end) return -1
  if (minor !== ZERO && minor !== ZERO + 1)
    throw new ResponseFault('HTTP_VERSION', 'a response is not in HTTP/1.1 or HTTP/1.0')
  for (at++; at < from + STATUS_END; at++) {
    if (at >= end) return -1
    if (!isStatusByte(bytes[at], at - from)) throw statusLineFault()
  }
  if (at >= end) return -1
  // RFC 9112, section 4: the blank is due even without a reason. llhttp reads the line without it.
  if (bytes[at] === SPACE) while (at < end && isValueByte(bytes[at] ?? 0)) at++
  if (at >= end) return -1
  if (bytes[at] !== CR) throw statusLineFault()
  if (at + 1 >= end) return -1
  if (bytes[at + 1] !== LF) throw statusLineFault()
  return at + 2
}

/** A status is 100 to 999: RFC 9110, section 15, has 600 and above read as 5xx, and llhttp passes
 *  them. Below 100 is no class of status. */
function isStatusByte(byte: number | undefined, position: number): boolean {
  if (byte === undefined) return false
  if (position === 8) return byte === SPACE
  return byte <= NINE && byte >= (position === 9 ? ZERO + 1 : ZERO)
}

function statusLineFault(): ResponseFault {
  return new ResponseFault('HTTP_STATUS_LINE', 'a response has a malformed status line')
}
