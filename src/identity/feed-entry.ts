/** Entries of the revocation feed. */

/** `s`: a session ended. `u`: all sessions of a user (openid) of `a` (appid) below epoch `e`
 *  ended. `b`: a user of `a` became bound. `x`: end of the entry's life. `r`: the store had lost
 *  the entry, and a process wrote it again. */
export type Entry = { x: number; r?: 1 } & (
  | { s: string }
  | { a: string; u: string; e: number }
  | { a: string; b: string }
)

/** Null for text that is not an entry. */
export function parseEntry(text: string): Entry | null {
  try {
    const entry = JSON.parse(text) as Record<string, unknown>
    if (typeof entry.x !== 'number') return null
    const isUser = typeof entry.a === 'string' && typeof entry.u === 'string' && typeof entry.e === 'number'
    const isBound = typeof entry.a === 'string' && typeof entry.b === 'string'
    return typeof entry.s === 'string' || isUser || isBound ? (entry as unknown as Entry) : null
  } catch {
    return null
  }
}
