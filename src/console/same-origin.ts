/** Tells whether a request comes from a page of this listener. */

export interface OriginHeaders {
  readonly 'sec-fetch-site'?: string | string[] | undefined
  readonly origin?: string | undefined
  readonly referer?: string | undefined
}

/** Browsers send Sec-Fetch-Site to https and loopback addresses, Origin with POST and DELETE, and
 *  Referer with the rest. Without any of them the request is foreign.
 *  @param host Value of the Host header. */
export function isSameOrigin(headers: OriginHeaders, host: string): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin') return false
  if (headers.origin !== undefined) return isOf(headers.origin, host)
  return site === 'same-origin' || (headers.referer !== undefined && isOf(headers.referer, host))
}

/** A proxy in front may speak https, so the scheme is not compared. */
function isOf(url: string, host: string): boolean {
  return URL.canParse(url) && /^https?:/.test(url) && new URL(url).host === host.toLowerCase()
}
