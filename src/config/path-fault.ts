/** Faults of a path in gateway.yaml. The edge compares it with the canonical path of each request, so it must be one. */
import { canonicalPath, PathRefusal } from '../http/path/canonical-path.ts'

export interface PathFault {
  readonly message: string
  readonly hint?: string
}

/** Null for a path that requests are brought to. */
export function pathFault(path: string): PathFault | null {
  const message = faultOf(path)
  if (message === null) return null
  const meant = repaired(path)
  return meant === null ? { message } : { message, hint: `did you mean "${meant}"?` }
}

function faultOf(path: string): string | null {
  if (!path.startsWith('/')) return 'must start with "/"'
  const canonical = canonicalPath(path)
  if (canonical instanceof PathRefusal) return canonical.reason.replace(/^The/, 'the')
  if (canonical.query !== '') return 'must not hold "?": a query never takes part in choosing a route'
  if (canonical.needs !== 0)
    return 'must not hold ";", %2F, %3B, %3F, %23 or %25xx, which servers read in different ways'
  if (path !== '/' && path.endsWith('/')) return 'must not end in "/"'
  if (path !== canonical.path) return 'is not in its canonical form'
  return path.includes('*') ? 'must not hold "*": a path is a prefix already, and there are no wildcards' : null
}

/** The nearest path without a fault. */
function repaired(path: string): string | null {
  const plain = `/${path}`
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
