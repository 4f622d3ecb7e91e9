/** An entry of a Redis Stream as the feed uses it: `v` is the value, `t` its TTL, the id the
 *  time of appending. */

export interface StreamEntry {
  readonly id: string
  readonly value: string
  /** Milliseconds. */
  readonly ttl: number
}

/** Parses the reply of XRANGE: `[[id, ['v', value, 't', ttl]], …]`. */
export function parseStreamEntries(reply: unknown): StreamEntry[] {
  if (!Array.isArray(reply)) return []
  return reply.map(([id, fields]: [string, string[]]) => ({ id, value: fields[1] ?? '', ttl: Number(fields[3]) }))
}

/** Milliseconds since the Unix epoch, by the server's clock. */
export function idTime(id: string): number {
  return Number(id.slice(0, id.indexOf('-')))
}

/** Ids are `milliseconds-sequence`. */
export function isAfter(id: string, other: string): boolean {
  const difference = idTime(id) - idTime(other)
  return difference > 0 || (difference === 0 && sequenceOf(id) > sequenceOf(other))
}

function sequenceOf(id: string): number {
  return Number(id.slice(id.indexOf('-') + 1))
}
