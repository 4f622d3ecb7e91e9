/** Checks the lines of a head or of trailers byte by byte (RFC 9112, sections 4 and 5). */
import { ResponseFault } from '../../upstream/connection/response-fault.ts'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const ZERO = 0x30
const NINE = 0x39
const COLON = 0x3a

const IN_NAME = 1
const IN_VALUE = 2
/** Classes of a byte: part of a token (RFC 9110, section 5.6.2), part of a value (section 5.5). */
const CLASSES = createClasses()

const VERSION_PREFIX = Buffer.from('HTTP/1.')
/** Length of `HTTP/1.1 200`. */
const STATUS_END = 12

/** Numbers kept for the next block: a block with more fields is rare, and would keep its memory. */
const MAX_KEPT_MARKS = 1_024

/** Positions of the field lines of one block: head or trailers. One per connection, reused. */
export class FieldLines {
  /** Per field: start and end of its name, start and end of its value. */
  #marks: number[] = []
  #markCount = 0

  get count(): number {
    return this.#markCount / 4
  }

  clear(): void {
    this.#markCount = 0
    if (this.#marks.length > MAX_KEPT_MARKS) this.#marks = []
  }

  /** Reads whole lines up to the empty line.
   *  @param origin Offset of the block; marks are relative to it.
   *  @param from Start of a line.
   *  @returns The offset after the empty line; or, when it is not in `bytes`, the bitwise
   *  complement of the start of the first incomplete line. */
  scan(bytes: Uint8Array, origin: number, from: number, end: number): number {
    const marks = this.#marks
    let count = this.#markCount
    let lineStart = from
    for (;;) {
      let at = lineStart
      while (at < end && ((CLASSES[bytes[at] ?? 0] ?? 0) & IN_NAME) !== 0) at++
      if (at >= end) break
      if (at === lineStart && bytes[at] === CR) {
        if (at + 1 >= end) break
        if (bytes[at + 1] !== LF) throw new ResponseFault('HTTP_FIELD_NAME', 'a response has a CR without LF')
        this.#markCount = count
        return at + 2
      }
      if (at === lineStart || bytes[at] !== COLON) throw nameFault(bytes[lineStart])
      marks[count] = lineStart - origin
      marks[count + 1] = at - origin
      at++
      while (at < end && isBlank(bytes[at])) at++
      const valueStart = at
      while (at < end && ((CLASSES[bytes[at] ?? 0] ?? 0) & IN_VALUE) !== 0) at++
      if (at >= end) break
      if (bytes[at] !== CR) throw new ResponseFault('HTTP_FIELD_VALUE', 'a response has a control in a field value')
      if (at + 1 >= end) break
      if (bytes[at + 1] !== LF) throw new ResponseFault('HTTP_FIELD_VALUE', 'a response has a CR without LF')
      let valueEnd = at
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1])) valueEnd--
      marks[count + 2] = valueStart - origin
      marks[count + 3] = valueEnd - origin
      count += 4
      lineStart = at + 2
    }
    this.#markCount = count
    return ~lineStart
  }

  /** @param text The block, one character per byte. */
  name(text: string, index: number): string {
    return text.slice(this.#marks[index * 4], this.#marks[index * 4 + 1])
  }

  value(text: string, index: number): string {
    return text.slice(this.#marks[index * 4 + 2], this.#marks[index * 4 + 3])
  }

  /** A TAB follows the value. llhttp takes it for a part of the values that frame a message. */
  hasTabAfter(text: string, index: number): boolean {
    let at = this.#marks[index * 4 + 3] ?? 0
    while (text.charCodeAt(at) === SPACE) at++
    return text.charCodeAt(at) === TAB
  }
}

/** Reads a status line.
 *  @returns The offset after it, or -1 when it is not complete. */
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
  if (bytes[at] === SPACE) while (at < end && ((CLASSES[bytes[at] ?? 0] ?? 0) & IN_VALUE) !== 0) at++
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

/** @param first First byte of the line. */
function nameFault(first: number | undefined): ResponseFault {
  return isBlank(first)
    ? new ResponseFault('HTTP_FOLDING', 'a response has a folded field line')
    : new ResponseFault('HTTP_FIELD_NAME', 'a response has a malformed field name')
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

function createClasses(): Uint8Array {
  const classes = new Uint8Array(256)
  for (let byte = SPACE; byte < classes.length; byte++) classes[byte] = IN_VALUE
  classes[0x7f] = 0
  classes[TAB] = IN_VALUE
  const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
  for (const byte of Buffer.from(token)) classes[byte] = IN_VALUE | IN_NAME
  return classes
}
