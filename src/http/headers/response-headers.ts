/** What of an upstream's response head reaches the client. */
import type { HeaderEdits } from '../../config/config.ts'
import { canonicalName, HOP_BY_HOP, IDENTITY_HEADERS } from './header-names.ts'

const RESERVED = new Set(IDENTITY_HEADERS.map((name) => name.toLowerCase()))
const MAX_SPELLINGS = 2_000
/** RFC 9110, section 5.5: anything but visible characters, space, tab and obs-text. */
const ILLEGAL_VALUE = /[^\t\x20-\x7e\x80-\xff]/

type Fate = 'pass' | 'drop' | 'connection' | 'content-length' | 'transfer-encoding'

export interface ResponseHeaders {
  /** Name and value in turns, ready to be written; null when the head contradicts itself.
   *  @param raw As undici gives them: name and value in turns, as bytes. */
  build(raw: readonly Buffer[], status: number, edits: HeaderEdits): string[] | null
}

export function createResponseHeaders(): ResponseHeaders {
  const remembered = new Map<string, Fate>()

  function fateOf(name: string): Fate {
    const known = remembered.get(name)
    if (known !== undefined) return known
    if (remembered.size >= MAX_SPELLINGS) remembered.clear()
    const fate = decide(name.toLowerCase())
    remembered.set(name, fate)
    return fate
  }

  return {
    build(raw, status, edits) {
      const headers: string[] = []
      let connection = ''
      let contentLength: string | undefined
      for (let index = 0; index + 1 < raw.length; index += 2) {
        const name = latin1(raw[index])
        const fate = fateOf(name)
        if (fate === 'drop') continue
        const value = latin1(raw[index + 1])
        // Node refuses to write such a value; the client shall see an error rather than nothing.
        if (ILLEGAL_VALUE.test(value)) return null
        if (fate === 'connection') {
          connection += `,${value}`
          continue
        }
        if (fate === 'transfer-encoding') {
          // We asked for no coding (no TE), and its name does not travel on: the client could not read such a body.
          if (value.trim().toLowerCase() !== 'chunked') return null
          continue
        }
        if (fate === 'content-length') {
          if (contentLength !== undefined) return null
          contentLength = value
          continue
        }
        headers.push(name, value)
      }
      const nominated = connection === '' ? null : nominatedBy(connection)
      const isEdited = nominated !== null || edits.remove.length > 0 || !isEmpty(edits.set)
      const result = isEdited ? edit(headers, nominated, edits) : headers
      // Last: after it Node's writeHead refuses a Content-Disposition beyond ASCII. RFC 9110, section 8.6: a 204 has none.
      if (contentLength !== undefined && status !== 204) result.push('content-length', contentLength)
      return result
    }
  }
}

function decide(lower: string): Fate {
  if (lower === 'connection' || lower === 'content-length' || lower === 'transfer-encoding') return lower
  // A Trailer announced for a body of known length would make Node throw; trailers are not passed on in any case.
  if (HOP_BY_HOP.has(lower)) return 'drop'
  const canonical = canonicalName(lower)
  return RESERVED.has(canonical) || canonical.startsWith('x-wx-') || canonical.startsWith('x-session-')
    ? 'drop'
    : 'pass'
}

/** undici hands out strings in a few rare cases. */
function latin1(bytes: Buffer | string | undefined): string {
  return typeof bytes === 'string' ? bytes : bytes === undefined ? '' : bytes.toString('latin1')
}

function nominatedBy(connection: string): Set<string> | null {
  const names = connection
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '' && token !== 'close' && token !== 'keep-alive' && token !== 'upgrade')
  names.splice(0, names.length, ...names.filter((name) => name !== 'content-length' && name !== 'content-type'))
  return names.length === 0 ? null : new Set(names)
}

function edit(headers: readonly string[], nominated: Set<string> | null, edits: HeaderEdits): string[] {
  const unwanted = new Set([...(nominated ?? []), ...edits.remove.map((name) => name.toLowerCase())])
  for (const name of Object.keys(edits.set)) unwanted.add(name.toLowerCase())
  const result: string[] = []
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (!unwanted.has((headers[index] as string).toLowerCase()))
      result.push(headers[index] as string, headers[index + 1] as string)
  }
  for (const [name, value] of Object.entries(edits.set)) result.push(name, value)
  return result
}

function isEmpty(record: Readonly<Record<string, string>>): boolean {
  for (const _ in record) return false
  return true
}

/** @param head Name and value in turns. */
export function isEventStream(head: readonly string[]): boolean {
  for (let index = 0; index + 1 < head.length; index += 2) {
    if ((head[index] as string).toLowerCase() === 'content-type')
      return /^text\/event-stream\b/i.test(head[index + 1] as string)
  }
  return false
}
