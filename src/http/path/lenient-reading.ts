/** Readings that lenient servers could give a canonical path. A request is held to these readings as well as to its own, so that no
 *  server behind the gateway can take it for another than the one that was allowed. */

/** More layers of encoding than anybody writes by accident. */
const MAX_LAYERS = 8

/** Letters that nobody decodes or cuts off; a dot at the end would be. */
const UNMISTAKABLE = /^[\w~!$&'()*,=@|[\].-]*[\w~!$&'()*,=@|[\]-]$/

/** Every name that some server could take a segment for, letters as they are: decoded once or to the end, with look-alikes
 *  replaced or not, with its ends cut off or not. Null when one of them is a step, holds a slash or a control character,
 *  or is nothing at all. */
export function namesOf(segment: string): readonly string[] | null {
  if (UNMISTAKABLE.test(segment)) return [segment]
  const once = decodeTriplets(segment)
  const plain = decodeAll(segment)
  if (plain === null) return null
  const names = new Set([once, plain, plainSegment(once), plainSegment(plain)])
  for (const name of names) if (/^\.{0,2}$|[/\\]/.test(name) || hasControls(name)) return null
  return [...names]
}

/** The path as those see it who decode before they look for slashes: once, and to the end. Null for more layers of encoding
 *  than there is an end to. */
export function decodedPaths(path: string): readonly string[] | null {
  const plain = decodeAll(path)
  return plain === null ? null : [decodeTriplets(path), plain]
}

/** The most lenient of all readings: matrix parameters gone, everything decoded as often as it can be, look-alikes replaced
 *  (NFKC), spaces and dots at the ends of segments cut off. Letters keep their case. Null when what is left is itself not a
 *  plain path. */
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

/** The lenient reading of a server that does not tell capitals from small letters either. */
export function foldedPath(path: string): string | null {
  const reading = lenientReading(path)
  return reading === null ? null : foldCase(reading)
}

/** Capitals and small letters made one, as any of the usual comparisons does it: "ı" equals "i" by its capital, "K" (the
 *  sign for kelvin) equals "k" by its small letter. */
export function foldCase(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is meant
  return /^[\x00-\x7f]*$/.test(text) ? text.toLowerCase() : text.toUpperCase().toLowerCase()
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

/** Triplets that make no UTF-8 stay, and do not keep others from being decoded: some servers are like that. */
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

/** A name without what servers take off it: parameters, a query of its own, the stream of an NTFS file (`::$DATA`), and
 *  spaces (a "+" is one to those who take the path for a form) and dots at its ends. Dots alone are steps or a name. */
function plainSegment(written: string): string {
  const name = written.replace(/(?:[;?#]|:[:$]).*$/s, '')
  return /^(?:\.+|\++)$/.test(name) ? name : withoutEnds(name)
}

/** By hand: an expression that looks for the end of a text begins anew at each of its characters, and takes time that grows
 *  with the square of a row of them. */
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
