/** Finds the end of a block of field lines over several reads: a head, or trailers. */
import { type FieldFault, FieldLines } from '../../http/wire/field-lines.ts'
import { latin1 } from '../../http/wire/latin1.ts'
import { ResponseFault, type ResponseFaultCode } from './response-fault.ts'
import { scanStatusLine } from './status-line.ts'

/** Bytes of a response head, its status line and its empty line included. */
export const MAX_HEAD_BYTES = 64 * 1024
export const MAX_TRAILERS_BYTES = 16 * 1024

const EMPTY = Buffer.alloc(0)
const LF = 0x0a
/** First capacity for the bytes of an incomplete block. */
const SMALL_BYTES = 1_024
/** Beyond these bytes a status line is read again only when it is complete. */
const STATUS_BYTES = 16

const FIELD_FAULTS: Readonly<Record<FieldFault, readonly [ResponseFaultCode, message: string]>> = {
  name: ['HTTP_FIELD_NAME', 'a response has a malformed field name'],
  folding: ['HTTP_FOLDING', 'a response has a folded field line'],
  value: ['HTTP_FIELD_VALUE', 'a response has a control in a field value'],
  'line end': ['HTTP_FIELD_VALUE', 'a response has a CR without LF']
}

/** One per connection, reused. Copies bytes only while a block is incomplete. */
export class BlockReader {
  readonly lines = new FieldLines()
  /** The complete block, one character per byte. */
  text = ''
  /** Bytes of an incomplete block. */
  #held: Buffer = EMPTY
  #heldBytes = 0
  /** Start of the first line in `#held` that is not checked. */
  #lineStart = 0
  #isHead = true
  /** The next line is a status line. */
  #isStatusDue = true
  #maxBytes = MAX_HEAD_BYTES

  startHead(): void {
    this.#start(true)
  }

  startTrailers(): void {
    this.#start(false)
  }

  /** Call when a complete block is used up: an idle connection keeps none of it. */
  release(): void {
    this.lines.clear()
    this.text = ''
    this.#held = EMPTY
    this.#heldBytes = 0
    this.#lineStart = 0
  }

  #start(isHead: boolean): void {
    this.release()
    this.#isHead = isHead
    this.#isStatusDue = isHead
    this.#maxBytes = isHead ? MAX_HEAD_BYTES : MAX_TRAILERS_BYTES
  }

  /** @returns The offset in `chunk` after the block, or -1 when `chunk` ends inside it. */
  read(chunk: Buffer, from: number): number {
    if (this.#heldBytes > 0) return this.#continue(chunk, from)
    const end = Math.min(chunk.length, from + this.#maxBytes)
    const next = this.#scan(chunk, from, from, end)
    if (next >= 0) {
      this.text = latin1(chunk, from, next)
      return next
    }
    this.#lineStart = ~next - from
    this.#hold(chunk, from, end)
    return this.#wait()
  }

  #continue(chunk: Buffer, from: number): number {
    const before = this.#heldBytes
    const end = Math.min(chunk.length, from + this.#maxBytes - before)
    this.#hold(chunk, from, end)
    // A line is read once, when it is complete, not again for each of its bytes.
    const isStatusBegun = this.#isStatusDue && before < STATUS_BYTES
    if (!isStatusBegun && !chunk.subarray(from, end).includes(LF)) return this.#wait()
    const next = this.#scan(this.#held, 0, this.#lineStart, this.#heldBytes)
    if (next >= 0) {
      this.text = this.#held.toString('latin1', 0, next)
      return from + next - before
    }
    this.#lineStart = ~next
    return this.#wait()
  }

  /** @returns As FieldLines.scan. */
  #scan(bytes: Buffer, origin: number, lineStart: number, end: number): number {
    let from = lineStart
    if (this.#isStatusDue) {
      from = scanStatusLine(bytes, lineStart, end)
      if (from < 0) return ~lineStart
      this.#isStatusDue = false
    }
    const { lines } = this
    const next = lines.scan(bytes, origin, from, end)
    if (lines.fault !== null) throw new ResponseFault(...FIELD_FAULTS[lines.fault])
    return next
  }

  #hold(chunk: Buffer, from: number, end: number): void {
    const size = this.#heldBytes + end - from
    if (size > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(SMALL_BYTES, size * 2)))
      this.#held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = grown
    }
    chunk.copy(this.#held, this.#heldBytes, from, end)
    this.#heldBytes = size
  }

  #wait(): number {
    if (this.#heldBytes < this.#maxBytes) return -1
    throw this.#isHead
      ? new ResponseFault('HTTP_HEAD_TOO_LARGE', `a response head is larger than ${MAX_HEAD_BYTES} bytes`)
      : new ResponseFault('HTTP_TRAILERS', `the trailers of a response are larger than ${MAX_TRAILERS_BYTES} bytes`)
  }
}
