/** Checks the lines of a head or of trailers byte by byte (RFC 9112, section 5). Accepts nothing
 *  that llhttp, the parser of Node, refuses in its strict mode. */

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a
const DEL = 0x7f

/** 1: a byte of a token (RFC 9110, section 5.6.2). */
const TOKEN = createTokenTable()

/** Numbers kept for the next block: a block with more fields is rare, and would keep its memory. */
const MAX_KEPT_MARKS = 1_024

/** The rule that a line breaks. */
export type FieldFault = 'name' | 'folding' | 'value' | 'line end'

/** Positions of the field lines of one block: head or trailers. Reused for the next one. */
export class FieldLines {
  /** Set when `scan` met a malformed line. */
  fault: FieldFault | null = null
  /** Per field: start and end of its name, start and end of its value. */
  #marks: number[] = []
  #markCount = 0

  get count(): number {
    return this.#markCount / 4
  }

  clear(): void {
    this.fault = null
    this.#markCount = 0
    if (this.#marks.length > MAX_KEPT_MARKS) this.#marks = []
  }

  /** Reads whole lines up to the empty line.
   *  @param origin Offset of the block; marks are relative to it.
   *  @param from Start of a line.
   *  @returns The offset after the empty line; or, when it is not in `bytes` or `fault` is set, the
   *  bitwise complement of the start of the first line that is incomplete or malformed. */
  scan(bytes: Uint8Array, origin: number, from: number, end: number): number {
    const marks = this.#marks
    let count = this.#markCount
    let lineStart = from
    for (;;) {
      let at = lineStart
      while (at < end && TOKEN[bytes[at] as number] === 1) at++
      if (at >= end) break
      if (at === lineStart && bytes[at] === CR) {
        if (at + 1 >= end) break
        if (bytes[at + 1] !== LF) return this.#refuse('name', lineStart)
        this.#markCount = count
        return at + 2
      }
      if (at === lineStart || bytes[at] !== COLON)
        return this.#refuse(isBlank(bytes[lineStart]) ? 'folding' : 'name', lineStart)
      marks[count] = lineStart - origin
      marks[count + 1] = at - origin
      at++
      while (at < end && isBlank(bytes[at])) at++
      const valueStart = at
      while (at < end && isValueByte(bytes[at] as number)) at++
      if (at >= end) break
      if (bytes[at] !== CR) return this.#refuse('value', lineStart)
      if (at + 1 >= end) break
      if (bytes[at + 1] !== LF) return this.#refuse('line end', lineStart)
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

  #refuse(fault: FieldFault, lineStart: number): number {
    this.fault = fault
    return ~lineStart
  }
}

/** A byte of a value or of a blank around it (RFC 9110, section 5.5). */
export function isValueByte(byte: number): boolean {
  return byte >= SPACE ? byte !== DEL : byte === TAB
}

/** A byte of OWS (RFC 9110, section 5.6.3). */
function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB
}

function createTokenTable(): Uint8Array {
  const table = new Uint8Array(256)
  const token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
  for (const byte of Buffer.from(token)) table[byte] = 1
  return table
}
