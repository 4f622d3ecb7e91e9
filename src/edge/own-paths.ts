/** The gateway's own paths on the edge. They always win; no route may name them. */

const EXACT = new Set(['/.well-known/jwks.json', '/livez', '/readyz', '/healthz'])

/** @param path Canonical. A spelling in other letters counts too, so that no upstream ever answers for us. */
export function isOwnPath(path: string): boolean {
  const second = path.charCodeAt(1) | 0x20
  // a, w, ., l, r, h: nearly every request is decided by its second character.
  if (second !== 0x61 && second !== 0x77 && second !== 0x2e && second !== 0x6c && second !== 0x72 && second !== 0x68)
    return false
  const lower = path.toLowerCase()
  return EXACT.has(lower) || isBelow(lower, '/auth') || isBelow(lower, '/wechat')
}

function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f)
}
