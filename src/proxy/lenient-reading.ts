/** How the most lenient server could read a canonical path. A request is held to this reading as well as to its own, so
 *  that no server behind the gateway can take it for another than the one that was allowed. */

/** More layers of encoding than anybody writes by accident. */
const MAX_LAYERS = 8

/** Matrix parameters gone, everything decoded as often as it can be, look-alikes replaced (NFKC), spaces and dots at the
 *  ends of segments cut off. Letters keep their case. Null when what is left is itself not a plain path. */
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
  return text.toUpperCase().toLowerCase()
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
  if (/^(?:\.+|\++)$/.test(name)) return name
  return name.replace(/^[\s+]+/, '').replace(/[.\s+]+$/, '')
}

function hasControls(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
  }
  return false
}
