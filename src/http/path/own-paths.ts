/** The gateway's own paths on the edge. They always take precedence; no route may name them. */
import type { CanonicalPath } from './canonical-path.ts'
import { foldedPath } from './lenient-reading.ts'
import { covers } from './prefix.ts'

const HEALTH = ['/livez', '/readyz', '/healthz']
const EXACT = ['/.well-known/jwks.json', ...HEALTH]

/** The target of "OPTIONS *". */
export const SERVER_AS_A_WHOLE: CanonicalPath = { path: '*', query: '', needs: 0 }

/** Letter case and a trailing "/" are ignored, so that no upstream answers instead of the
 *  gateway.
 *  @param path Canonical. */
export function isOwnPath(path: string): boolean {
  const second = path.charCodeAt(1) | 0x20
  // a, w, ., l, r, h: the second character rules out nearly every request.
  if (second !== 0x61 && second !== 0x77 && second !== 0x2e && second !== 0x6c && second !== 0x72 && second !== 0x68)
    return false
  const lower = path.toLowerCase()
  return covers('/auth', lower) || covers('/wechat', lower) || EXACT.some((own) => isOrSlash(lower, own))
}

/** Load balancers ask for these; they are answered at once, however many requests wait. */
export function isHealthPath(path: string): boolean {
  return HEALTH.some((own) => isOrSlash(path.toLowerCase(), own))
}

/** True when a lenient server could read another path as an own one: "/auth%2Flogin",
 *  "/auth;a/login". */
export function isOwnInDisguise({ path, needs }: CanonicalPath): boolean {
  if (needs === 0 && !path.includes('%')) return false
  const reading = foldedPath(path)
  return reading !== null && isOwnPath(reading)
}

function isOrSlash(path: string, own: string): boolean {
  return path === own || (path.length === own.length + 1 && path.startsWith(own) && path.endsWith('/'))
}
