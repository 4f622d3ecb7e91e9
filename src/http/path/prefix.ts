/** Path prefixes on segment boundaries: `/api` covers `/api` and `/api/x`, not `/apis`. */

const SLASH = 0x2f

/** @param prefix Without a trailing slash, except `/`, which covers every path. */
export function covers(prefix: string, path: string): boolean {
  if (prefix === '/') return true
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === SLASH)
}

/** The path below a prefix that covers it. Starts with `/`, so it cannot reach into the
 *  authority of a URL. */
export function withoutPrefix(path: string, prefix: string | null): string {
  return prefix === null || prefix === '/' ? path : path.slice(prefix.length) || '/'
}
