/** Readings that lenient servers could give a canonical path. A request must be allowed under
 *  these readings as well as its own, so that no server behind the gateway takes it for another
 *  request. */

/** More layers of encoding than occur by accident. */
const MAX_LAYERS = 8

/** Characters that every server keeps; a dot at the end could be removed. */
const UNMISTAKABLE = /^[\w~!$&'()*,=@|[\].-]*[\w~!$&'()*,=@|[\]-]$/

/** Every name that some server could read from a segment, with its letter case: decoded once or
 *  completely, look-alikes replaced or not, ends trimmed or not. Null when one of them is empty, a
 *  dot segment, or holds a slash or a control character. */
export function namesOf(segment: string): readonly string[] | null {
  if (UNMISTAKABLE.test(segment)) return [segment]
  const once = decodeTriplets(segment)
  const plain = decodeAll(segment)
  if (plain === null) return null
  const names = new Set([once, plain, plainSegment(once), plainSegment(plain)])
  for (const name of names) if (/^\.{0,2}$|[/\\]/.test(name) || hasControls(name)) return null
  return [...names]
}

/** The path for servers that decode before they split at slashes: decoded once, and completely.
 *  Null for too many layers of encoding. */
export function decodedPaths(path: string): readonly string[] | null {
  const plain = decodeAll(path)
  return plain === null ? null : [decodeTriplets(path), plain]
}

/** The most lenient reading: matrix parameters removed, everything decoded as often as
 *  possible, look-alikes replaced (NFKC), spaces and dots at the ends of segments removed. Letters
 *  keep their case. Null when the result is not a plain path. */
export function lenientReading(path: string): string | null {
  const text = path.includes('%') ? decodeAll(path) : path
  if (text === null || hasControls(text)) return null
  const segments: string[] = []
  for (const written of text.replaceAll('\\', '/').split('/')) {
    const segment = plainSegment(written)
    if (segment === '..' || segment === '.') return null
    segments.push(segment)
  }
  const joined = segments.join('/')
  return joined.includes('//') ? null : joined
}

/** The lenient reading of a server that also ignores letter case. */
export function foldedPath(path: string): string | null {
  const reading = lenientReading(path)
  return reading === null ? null : foldCase(reading)
}

/** Makes capitals and small letters equal as the usual comparisons do: "ı" equals "i" by its
 *  capital, "K" (the kelvin sign) equals "k" by its small letter. */
export function foldCase(text: string): string {
  return /^\p{ASCII}*$/u.test(text) ? text.toLowerCase() : text.toUpperCase().toLowerCase()
}

function decodeAll(path: string): string | null {
  let text = path
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    const decoded = decodeTriplets(text)
      .normalize('NFKC')
      .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    if (decoded === text) return text
    text = decoded
  }
  return null
}

/** Keeps triplets that are not UTF-8 and decodes the others, as some servers do. */
function decodeTriplets(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+|%u[0-9A-Fa-f]{4}/g, (run) => {
    if (run.startsWith('%u')) return String.fromCharCode(Number.parseInt(run.slice(2), 16))
    try {
      return decodeURIComponent(run)
    } catch {
      return run.replace(/%[0-7][0-9A-Fa-f]/g, (triplet) => decodeURIComponent(triplet))
    }
  })
}

/** A name without the parts that servers remove: parameters, its own query, the stream of an
 *  NTFS file (`::$DATA`), and spaces and dots at its ends (form decoding reads "+" as a space). A
 *  name of dots alone stays. */
function plainSegment(written: string): string {
  const name = written.replace(/(?:[;?#]|:[:$]).*$/s, '')
  return /^(?:\.+|\++)$/.test(name) ? name : withoutEnds(name)
}

/** A loop: an expression anchored at the end starts again at each character and takes quadratic
 *  time. */
function withoutEnds(name: string): string {
  let start = 0
  let end = name.length
  while (start < end && /[\s+]/.test(name.charAt(start))) start++
  while (end > start && /[.\s+]/.test(name.charAt(end - 1))) end--
  return name.slice(start, end)
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
  }
  return false
}
