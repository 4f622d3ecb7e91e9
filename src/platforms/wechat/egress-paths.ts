/** Which calls of api.weixin.qq.com a backend may make through the gateway, and what of their query. */
import { foldCase, lenientReading } from '../../http/path/lenient-reading.ts'
import type { PathVerdict } from '../port.ts'

/** Whose answer is a credential that only the gateway holds. What lies below is meant as well. */
const CREDENTIALS = [
  '/sns',
  '/cgi-bin/token',
  '/cgi-bin/stable_token',
  '/wxa/resetusersessionkey',
  '/wxa/business/getuserencryptkey'
]

/** @param path Of api.weixin.qq.com, and canonical; `needs` is that of the whole target. */
export function judgePath(path: string, needs: number): PathVerdict {
  const reading = lenientReading(path)
  if (reading !== null) {
    const folded = foldCase(reading).replace(/\/+$/, '')
    if (CREDENTIALS.some((own) => folded === own || folded.startsWith(`${own}/`))) return 'credential'
  }
  return needs !== 0 || reading === null || path === '/' ? 'ambiguous' : 'plain'
}

/** The query with our access token in place of any that the caller sent, however its name was spelled.
 *  @param query With its `?`, or empty. */
export function withAccessToken(query: string, token: string): string {
  const kept = query
    .slice(1)
    .split('&')
    .filter((part) => part !== '' && !part.split(';').some(namesAccessToken))
  return `?${[`access_token=${encodeURIComponent(token)}`, ...kept].join('&')}`
}

function namesAccessToken(part: string): boolean {
  const name = part.split('=', 1)[0] ?? ''
  return /^access_token(?:\[.*\])?$/i.test(decode(name).trim())
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    // Bytes that are no UTF-8 stay as they are, the rest is decoded: %61ccess_token%ff.
    return text.replace(/%[0-7][0-9a-f]/gi, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)))
  }
}
