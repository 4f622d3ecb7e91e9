/** The optional fields (TLV) of a PROXY header of version 2. */

/** Bytes of type and length. */
const FIELD_HEAD = 3

/** Place of a field's value. */
export interface HeaderField {
  readonly type: number
  readonly start: number
  readonly size: number
}

/** Null where a field ends beyond the header. */
export function readFields(header: Buffer, from: number): HeaderField[] | null {
  const fields: HeaderField[] = []
  for (let at = from; at < header.length; ) {
    if (at + FIELD_HEAD > header.length) return null
    const start = at + FIELD_HEAD
    const size = header.readUInt16BE(at + 1)
    if (start + size > header.length) return null
    fields.push({ type: header.readUInt8(at), start, size })
    at = start + size
  }
  return fields
}
