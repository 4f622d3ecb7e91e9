/** Judges the target of a backend's call to the pay API. */
import { canonicalPath, PathRefusal } from '../../../http/path/canonical-path.ts'
import { foldCase } from '../../../http/path/lenient-reading.ts'
import { covers } from '../../../http/path/prefix.ts'
import type { PayTarget } from '../../pay-port.ts'

/** Platform certificates: the gateway fetches them itself. */
const CERTIFICATES = ['/v3/certificates', '/v3/global/certificates']
/** The pay API does not sign the answers, or wants a form in place of JSON. */
const UNVERIFIABLE = ['/v3/billdownload', '/v3/merchant/media', '/v3/merchant-service/images']
/** RFC 3986, section 3.4. */
const QUERY = /^(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*)?$/

/** @param target Path and query. */
export function judgeTarget(target: string): PayTarget {
  const canonical = canonicalPath(target)
  if (canonical instanceof PathRefusal) return 'ambiguous'
  const { path, query, needs } = canonical
  // Signed and sent byte for byte, so it must be in its canonical form.
  if (needs !== 0 || path + query !== target || !QUERY.test(query)) return 'ambiguous'
  const folded = foldCase(path)
  if (!path.startsWith('/v3/') || path === '/v3/') return 'foreign'
  if (CERTIFICATES.some((prefix) => covers(prefix, folded))) return 'certificates'
  return UNVERIFIABLE.some((prefix) => covers(prefix, folded)) ? 'unverifiable' : 'plain'
}
