/** The form of a path in the file: the one that the edge brings every request to, so that the two can be compared. */

export interface PathFault {
  readonly message: string
  readonly hint?: string
}

/** Null for a path that is canonical. */
export function pathFault(path: string): PathFault | null {
  if (!path.startsWith('/')) return { message: 'must start with "/"', ...mean(`/${path}`) }
  for (const [char, reason] of forbidden) {
    if (path.includes(char)) return { message: `must not hold "${char}": ${reason}` }
  }
  const segments = path.split('/').slice(1)
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    return { message: 'must not hold "." or ".." segments' }
  }
  if (path !== '/' && segments.includes('')) {
    const plain = path.replace(/\/+/g, '/').replace(/\/$/, '')
    const message =
      path.endsWith('/') && !path.includes('//') ? 'must not end in "/"' : 'must not hold an empty segment ("//")'
    return { message, ...mean(plain === '' ? '/' : plain) }
  }
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return { message: 'holds a "%" without two hexadecimal digits' }
  if (/[^A-Za-z0-9\-._~!$&'()*+,=:@%/[\]|]/.test(path))
    return { message: 'holds a character that must be percent-encoded', ...encoded(path) }
  return tripletFault(path) ?? trailingFault(segments)
}

const forbidden: readonly (readonly [string, string])[] = [
  ['\\', 'some servers read it as "/"'],
  ['?', 'a query never takes part in choosing a route'],
  ['#', 'it is never sent to a server'],
  [';', 'what follows it is a parameter for some servers and part of the name for others'],
  ['*', 'a path is a prefix already, and there are no wildcards']
]

function tripletFault(path: string): PathFault | null {
  for (const [triplet = ''] of path.matchAll(/%[0-9A-Fa-f]{2}/g)) {
    const code = Number.parseInt(triplet.slice(1), 16)
    if (code < 0x20 || code === 0x7f) return { message: 'must not hold an encoded control character' }
    if ('/\\;?#%'.includes(String.fromCharCode(code)))
      return { message: `must not hold ${triplet}, which servers read in different ways` }
  }
  const plain = path
    .replace(/%[0-9A-Fa-f]{2}/g, (triplet) => triplet.toUpperCase())
    .replace(/%(2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16))
    )
  if (plain !== path) return { message: 'is not in its canonical form', ...mean(plain) }
  try {
    decodeURIComponent(path)
    return null
  } catch {
    return { message: 'its percent-encoded bytes are not UTF-8' }
  }
}

function trailingFault(segments: readonly string[]): PathFault | null {
  if (!segments.some((segment) => /(?:[^.]\.+|%20|%C2%A0|%E3%80%80)$/.test(segment))) return null
  return { message: 'must not hold a segment that ends in a dot or a space, which some servers remove' }
}

function encoded(path: string): { hint?: string } {
  try {
    const plain = encodeURI(decodeURI(path))
    return pathFault(plain) === null ? mean(plain) : {}
  } catch {
    return {}
  }
}

function mean(path: string): { hint?: string } {
  return /^[\x21-\x7e]{1,200}$/.test(path) ? { hint: `did you mean "${path}"?` } : {}
}

/** Whether `prefix` covers `path` on segment boundaries. */
export function covers(prefix: string, path: string): boolean {
  return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)
}

/** What the upstream gets to see of a path below a route. */
export function stripped(path: string, prefix: string | null | undefined): string {
  if (prefix === null || prefix === undefined || prefix === '/' || !covers(prefix, path)) return path
  return path.slice(prefix.length) || '/'
}

const ownPaths = ['/.well-known/jwks.json', '/livez', '/readyz', '/healthz']
const ownPrefixes = ['/auth', '/wechat']

/** Paths that the edge answers itself. Compared without case, since an upstream may do the same. */
export function isOwnPath(path: string): boolean {
  const folded = path.toLowerCase()
  return ownPrefixes.some((prefix) => covers(prefix, folded)) || ownPaths.includes(folded)
}
