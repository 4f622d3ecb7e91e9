/** Reads a request-target once. The result is matched against the routes and forwarded, byte
 *  for byte the same; a target that two decoders could read differently is refused. */

/** Readings that a route may allow (`allow`). A path that needs none is canonical for every
 *  decoder. */
export const NEEDS_ENCODED_SLASH = 1
export const NEEDS_MATRIX_PARAMS = 2
export const NEEDS_DOUBLE_ENCODING = 4
export const NEEDS_RAW_PERCENT = 8

export interface CanonicalPath {
  /** Starts with `/`; unreserved characters are decoded, other triplets in upper case (RFC
   *  3986, section 6.2.2). */
  readonly path: string
  /** Includes its `?`, unchanged; empty without a query. It never takes part in matching. */
  readonly query: string
  /** Allowances that the path needs; 0 for nearly all paths. */
  readonly needs: number
}

/** The reason for refusing a target, for people. */
export class PathRefusal {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

const NOT_ORIGIN_FORM = new PathRefusal('The request-target must start with "/"')
const ILLEGAL_CHARACTER = new PathRefusal('The path holds a character that must be percent-encoded')
const BACKSLASH = new PathRefusal('The path holds a backslash, which some servers read as a slash')
const FRAGMENT = new PathRefusal('The request-target holds a "#", which clients must not send')
const DOT_SEGMENT = new PathRefusal('The path holds a "." or ".." segment')
const EMPTY_SEGMENT = new PathRefusal('The path holds an empty segment ("//")')
const BAD_TRIPLET = new PathRefusal('The path holds a "%" without two hexadecimal digits after it')
const CONTROL = new PathRefusal('The path holds an encoded control character')
const OVERLONG = new PathRefusal('The path holds an overlong UTF-8 form of a character')
const TRAILING = new PathRefusal('A path segment ends in a dot or a space, which some servers remove')

const CHAR_PLAIN = 1
const CHAR_SLASH = 2
const CHAR_PERCENT = 3
const CHAR_SEMICOLON = 4

/** RFC 3986, section 3.3: characters that a path may hold unencoded, and the three that servers
 *  are known to leave so. */
const CLASS = new Uint8Array(128)
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@[]|") {
  CLASS[character.charCodeAt(0)] = CHAR_PLAIN
}
CLASS[0x2f] = CHAR_SLASH
CLASS[0x25] = CHAR_PERCENT
CLASS[0x3b] = CHAR_SEMICOLON

const DOT = 0x2e
const SLASH = 0x2f

/** Reads the target of an HTTP/1 request line in origin-form (RFC 9112, section 3.2.1). */
export function canonicalPath(target: string): CanonicalPath | PathRefusal {
  if (target.charCodeAt(0) !== SLASH) return NOT_ORIGIN_FORM
  const mark = target.indexOf('?')
  const end = mark < 0 ? target.length : mark
  if (target.includes('#')) return FRAGMENT
  let segmentStart = 1
  let previous = SLASH
  for (let index = 1; index < end; index++) {
    const code = target.charCodeAt(index)
    const kind = code < 128 ? CLASS[code] : 0
    if (kind === CHAR_SLASH) {
      if (previous === SLASH) return EMPTY_SEGMENT
      if (previous === DOT) {
        const refusal = trailingDot(target, segmentStart, index)
        if (refusal) return refusal
      }
      segmentStart = index + 1
    } else if (kind !== CHAR_PLAIN) {
      return code === 0x5c ? BACKSLASH : decodePath(target.slice(0, end), mark < 0 ? '' : target.slice(mark))
    }
    previous = code
  }
  if (previous === DOT) {
    const refusal = trailingDot(target, segmentStart, end)
    if (refusal) return refusal
  }
  return mark < 0
    ? { path: target, query: '', needs: 0 }
    : { path: target.slice(0, end), query: target.slice(mark), needs: 0 }
}

/** Three or more dots are an ordinary name; one and two are dot segments, and Windows removes a
 *  dot after a name. */
function trailingDot(path: string, start: number, end: number): PathRefusal | null {
  const length = end - start
  if (length <= 2 && path.charCodeAt(start) === DOT) return DOT_SEGMENT
  for (let index = start; index < end; index++) if (path.charCodeAt(index) !== DOT) return TRAILING
  return null
}

/** Reads a path that holds something to decode, which is rare. */
function decodePath(raw: string, query: string): CanonicalPath | PathRefusal {
  let path = ''
  let needs = 0
  let hasHighBytes = false
  for (let index = 0; index < raw.length; index++) {
    const code = raw.charCodeAt(index)
    const kind = code < 128 ? CLASS[code] : 0
    if (kind === CHAR_PLAIN || kind === CHAR_SLASH) {
      path += raw[index]
    } else if (kind === CHAR_SEMICOLON) {
      needs |= NEEDS_MATRIX_PARAMS
      path += ';'
    } else if (kind === CHAR_PERCENT) {
      const byte = hexByte(raw, index + 1)
      if (byte < 0) return BAD_TRIPLET
      if (byte < 0x20 || byte === 0x7f) return CONTROL
      if (byte === 0x5c) return BACKSLASH
      if (byte === SLASH) needs |= NEEDS_ENCODED_SLASH
      else if (byte === 0x3b) needs |= NEEDS_MATRIX_PARAMS
      else if (byte === 0x3f || byte === 0x23) needs |= NEEDS_DOUBLE_ENCODING
      else if (byte === 0x25 && hexByte(raw, index + 3) >= 0) needs |= NEEDS_DOUBLE_ENCODING
      else if (byte >= 0x80) hasHighBytes = true
      path += isUnreserved(byte) ? String.fromCharCode(byte) : `%${raw.slice(index + 1, index + 3).toUpperCase()}`
      index += 2
    } else {
      return code === 0x5c ? BACKSLASH : ILLEGAL_CHARACTER
    }
  }
  if (hasHighBytes) {
    if (!isUtf8(path)) {
      // RFC 3629, section 3: lenient decoders read "/", "\\", "." and ";" from these.
      if (/%C0%(?:AE|AF|BB)|%C1%9C|%E0%(?:80%(?:AE|AF|BB)|81%9C)|%F0%80|%F8%80%80|%FC%80%80/.test(path)) return OVERLONG
      needs |= NEEDS_RAW_PERCENT
    }
    // Some languages trim U+0080 to U+009F like spaces.
    else if (/%C2%[89]/.test(path)) return CONTROL
  }
  // A decoded "%" can meet hexadecimal digits that were encoded themselves (%25%32%65), and IIS
  // also reads %u002e.
  if (/%25(?:[0-9A-F]{2}|u[0-9A-F]{4})/i.test(path)) needs |= NEEDS_DOUBLE_ENCODING
  return refuseSegments(path, needs) ?? { path, query, needs }
}

function refuseSegments(path: string, needs: number): PathRefusal | null {
  const segments = path.split('/')
  for (let index = 1; index < segments.length; index++) {
    const written = segments[index] ?? ''
    // Servers that know matrix parameters remove them before they look at dots.
    const segment = needs & NEEDS_MATRIX_PARAMS ? written.replace(/(?:;|%3B).*$/, '') : written
    if (segment === '' && (written !== '' || index < segments.length - 1)) return EMPTY_SEGMENT
    if (segment === '.' || segment === '..') return DOT_SEGMENT
    if (/(?:[^.]\.+|%20|%C2%A0|%E3%80%80)$/.test(segment)) return TRAILING
  }
  return null
}

function hexByte(text: string, index: number): number {
  const high = hexDigit(text.charCodeAt(index))
  const low = hexDigit(text.charCodeAt(index + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** NaN, which charCodeAt returns beyond the end, is not a digit. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code >= 0x41 && code <= 0x46) return code - 0x37
  if (code >= 0x61 && code <= 0x66) return code - 0x57
  return -1
}

function isUnreserved(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2e ||
    byte === 0x5f ||
    byte === 0x7e
  )
}

function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
