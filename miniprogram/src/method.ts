/** Properties of request methods. */
import type { Send } from './transport'

export function isReading(method: string | undefined): boolean {
  return method === undefined || method === 'GET' || method === 'HEAD'
}

/** Returns true when sending the call twice has the effect of sending it once (RFC 9110,
 *  section 9.2.2). */
export function isIdempotent(what: Send): boolean {
  if (what.kind === 'uploadFile') return false
  if (what.kind === 'downloadFile') return true
  const { method } = what.options
  return isReading(method) || method === 'PUT' || method === 'DELETE' || method === 'OPTIONS' || method === 'TRACE'
}

/** wx puts `data` of a GET into the address. */
export function hasBody(what: Send): boolean {
  if (what.kind !== 'request') return what.kind === 'uploadFile'
  return what.options.data !== undefined && !isReading(what.options.method)
}
