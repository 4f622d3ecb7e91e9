/** Builds the head of an upstream's response for the client. */
import { canonicalName, HOP_BY_HOP, IDENTITY_HEADERS } from './header-names.ts'
import { createSpellings } from './spellings.ts'

const RESERVED = new Set(IDENTITY_HEADERS.map((name) => name.toLowerCase()))

type Fate = 'pass' | 'drop' | 'connection' | 'content-length' | 'transfer-encoding' | 'upgrade'

/** Changes that a route makes to a head. */
export interface HeaderEdits {
  readonly set: Readonly<Record<string, string>>
  readonly remove: readonly string[]
}

export interface ResponseHeaders {
  /** Name and value in turns, each byte as one character; null when the head contradicts
   *  itself. Content-Length comes last: Node reads a Content-Disposition after it as UTF-8 and
   *  refuses to write other bytes.
   *  @param raw Name and value in turns, without controls (RFC 9110, section 5.5). */
  build(raw: readonly string[], status: number, edits: HeaderEdits): string[] | null
}

export function createResponseHeaders(): ResponseHeaders {
  const fateOf = createSpellings((name) => decide(name.toLowerCase()))

  return {
    build(raw, status, edits) {
      const headers: string[] = []
      let connection = ''
      let contentLength: string | undefined
      let isChunked = false
      for (let index = 0; index + 1 < raw.length; index += 2) {
        const name = raw[index] as string
        const fate = fateOf(name)
        if (fate === 'drop') continue
        const value = raw[index + 1] as string
        if (fate === 'pass') headers.push(name, value)
        else if (fate === 'connection') connection += `,${value}`
        else if (fate === 'transfer-encoding') {
          // The request asked for no coding (no TE), and the name of a coding is not forwarded. RFC
          // 9112, section 6.1: chunked is applied once.
          if (isChunked || value.trim().toLowerCase() !== 'chunked') return null
          isChunked = true
        } else if (fate === 'content-length') {
          if (contentLength !== undefined) return null
          contentLength = value
        }
        // RFC 9110, section 15.5.22: a 426 names the protocol that it requires.
        else if (status === 426) headers.push('Connection', 'Upgrade', name, value)
      }
      const nominated = connection === '' ? null : nominatedBy(connection)
      const isEdited = nominated !== null || edits.remove.length > 0 || !isEmpty(edits.set)
      const edited = isEdited ? edit(headers, nominated, edits) : headers
      // RFC 9110, section 8.6: a 1xx or 204 has no Content-Length.
      if (contentLength !== undefined && status >= 200 && status !== 204) edited.push('content-length', contentLength)
      return edited
    }
  }
}

function decide(lower: string): Fate {
  if (lower === 'connection' || lower === 'content-length' || lower === 'transfer-encoding' || lower === 'upgrade')
    return lower
  // Trailers are not forwarded, and a Trailer header beside Content-Length would make Node throw.
  if (HOP_BY_HOP.has(lower)) return 'drop'
  const canonical = canonicalName(lower)
  return RESERVED.has(canonical) || canonical.startsWith('x-wx-') || canonical.startsWith('x-session-')
    ? 'drop'
    : 'pass'
}

const NOT_NOMINATED = new Set(['', 'close', 'keep-alive', 'upgrade', 'content-length', 'content-type'])

/** @param connection Values of Connection, each with a comma in front. */
function nominatedBy(connection: string): Set<string> | null {
  const lower = connection.toLowerCase()
  // Nearly every server sends one word.
  if (NOT_NOMINATED.has(lower.slice(1))) return null
  const names = lower
    .split(',')
    .map((token) => token.trim())
    .filter((token) => !NOT_NOMINATED.has(token))
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
