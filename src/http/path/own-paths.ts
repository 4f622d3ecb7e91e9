/** The gateway's own paths on the edge. They always win; no route may name them. */
import type { CanonicalPath } from './canonical-path.ts'
import { foldedPath } from './lenient-reading.ts'
import { covers } from './prefix.ts'

const HEALTH = ['/livez', '/readyz', '/healthz']
const EXACT = ['/.well-known/jwks.json', ...HEALTH]

/** @param path Canonical. A spelling in other letters counts too, and so does a "/" at the end, so that no upstream ever
 *  answers for us. */
export function isOwnPath(path: string): boolean {
  const second = path.charCodeAt(1) | 0x20
  // a, w, ., l, r, h: nearly every request is decided by its second character.
  if (second !== 0x61 && second !== 0x77 && second !== 0x2e && second !== 0x6c && second !== 0x72 && second !== 0x68)
    return false
  const lower = path.toLowerCase()
  return covers('/auth', lower) || covers('/wechat', lower) || EXACT.some((own) => isOrSlash(lower, own))
}

/** What load balancers ask for, and must be told however busy the gateway is. */
export function isHealthPath(path: string): boolean {
  return HEALTH.some((own) => isOrSlash(path.toLowerCase(), own))
}

/** Whether some server could read the path as one of ours although it is none: "/auth%2Flogin", "/auth;a/login". */
export function isOwnInDisguise({ path, needs }: CanonicalPath): boolean {
  if (needs === 0 && !path.includes('%')) return false
  const reading = foldedPath(path)
  return reading !== null && isOwnPath(reading)
}

function isOrSlash(path: string, own: string): boolean {
  return path === own || (path.length === own.length + 1 && path.startsWith(own) && path.endsWith('/'))
}
