/** Faults of a path in gateway.yaml. The edge compares it with canonical request paths, so it
 *  must be canonical. */
import { canonicalPath, PathRefusal } from '../http/path/canonical-path.ts'

export interface PathFault {
  readonly message: string
  readonly hint?: string
}

/** Null for a canonical path. */
export function pathFault(path: string): PathFault | null {
  const message = faultOf(path)
  if (message === null) return null
  const meant = repaired(path)
  return meant === null ? { message } : { message, hint: `did you mean "${meant}"?` }
}

function faultOf(path: string): string | null {
  if (isPattern(path)) return 'is a prefix: it takes no parameters, wildcards, operators or regular expressions'
  if (!path.startsWith('/')) return 'must start with "/"'
  const canonical = canonicalPath(path)
  if (canonical instanceof PathRefusal) return canonical.reason.replace(/^The/, 'the')
  if (canonical.query !== '') return 'must not hold "?": a query never takes part in choosing a route'
  if (canonical.needs !== 0)
    return 'must not hold ";", %2F, %3B, %3F, %23 or %25xx, which servers read in different ways'
  if (path !== '/' && path.endsWith('/')) return 'must not end in "/"'
  return path === canonical.path ? null : 'is not in its canonical form'
}

/** Patterns of other routers: `/:id`, `/{id}`, `/<id>`, `/[id]`, `/*`, `^/api/.*$`, `~ /api`,
 *  `PathPrefix(…)`. */
function isPattern(path: string): boolean {
  return (
    /[*{}<>[\]|`]/.test(path) ||
    /^(?:[\^~=]|!?[A-Z][A-Za-z]+[(=])/.test(path) ||
    /\/:[A-Za-z_]/.test(path) ||
    /\.\+|\\[dwsb]|\(\?|\([^()]+\)[?+]|[^/]\$$/.test(path)
  )
}

/** The part of a pattern before its first parameter or expression. */
function literalPart(pattern: string): string {
  const path = pattern.replace(/^(?:[!A-Za-z]+[(=][`'"]?|[\s^~=*]+)/, '').replace(/[`'")$]+$/, '')
  const segments = path.replace(/^\//, '').split('/')
  const end = segments.findIndex((segment) => /[*{}<>[\]|`^$()\\]|^:|\.\+|\.$/.test(segment))
  return segments.slice(0, end < 0 ? undefined : end).join('/')
}

/** The nearest path without a fault. */
function repaired(path: string): string | null {
  const isRoot = /^\/?\**$/.test(path)
  const text = isPattern(path) ? literalPart(path) : path.replace(/^[a-z]+:\/\/[^/]*/i, '')
  // An expression without a literal part must not open every path.
  if (text === '' && !isRoot) return null
  const plain = `/${text}`
    .replace(/[?#].*$/s, '')
    .replace(/[/\\]+/g, '/')
    .replace(/(.)\/$/, '$1')
  for (const candidate of [plain, encoded(plain)]) {
    const canonical = canonicalPath(candidate)
    if (canonical instanceof PathRefusal || canonical.path.length > 200) continue
    if (faultOf(canonical.path) === null) return canonical.path
  }
  return null
}

function encoded(path: string): string {
  try {
    return encodeURI(decodeURI(path))
  } catch {
    return path
  }
}
