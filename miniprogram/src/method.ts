/** Properties of request methods. */
import { headerOf } from './problem'
import type { Send } from './transport'
import type { WxRequestOptions } from './wx'

export function isReading(method: string | undefined): boolean {
  return method === undefined || method === 'GET' || method === 'HEAD'
}

/** The method that counts for a gateway whose route has `methodOverride`. */
export function countedMethod({ method = 'GET', header }: WxRequestOptions): string {
  const named = method === 'POST' ? headerOf(header, 'x-http-method-override') : undefined
  return named === undefined ? method : named.trim().toUpperCase()
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
