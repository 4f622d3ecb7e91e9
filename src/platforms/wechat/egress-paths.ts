/** Judges the path and the query of a backend's call to api.weixin.qq.com. */
import { foldCase, lenientReading } from '../../http/path/lenient-reading.ts'
import type { PathVerdict } from '../port.ts'

/** Paths whose answer holds or repeats a credential of the gateway. Each covers the paths below
 *  it. */
const CREDENTIALS = [
  // session_key, and access tokens of OAuth.
  '/sns',
  '/cgi-bin/token',
  '/cgi-bin/stable_token',
  // Tokens of a third-party platform and of the accounts that authorised it.
  '/cgi-bin/component',
  // jsapi_ticket.
  '/cgi-bin/ticket',
  // The request behind a trace id, including its access_token.
  '/cgi-bin/openapi/rid',
  // Keys of the cloud account.
  '/tcb/getqcloudtoken',
  '/wxa/resetusersessionkey',
  '/wxa/business/getuserencryptkey'
]

/** @param path A canonical path of api.weixin.qq.com.
 *  @param needs Readings that the whole target needs. */
export function judgePath(path: string, needs: number): PathVerdict {
  const reading = lenientReading(path)
  if (reading !== null) {
    const folded = foldCase(reading).replace(/\/+$/, '')
    if (CREDENTIALS.some((own) => folded === own || folded.startsWith(`${own}/`))) return 'credential'
  }
  return needs !== 0 || reading === null || path === '/' ? 'ambiguous' : 'plain'
}

/** Replaces every access_token of the caller, in any spelling, by the gateway's.
 *  @param query Includes its `?`, or is empty. */
export function withAccessToken(query: string, token: string): string {
  if (query === '') return `?access_token=${encodeURIComponent(token)}`
  const kept = query
    .slice(1)
    .split('&')
    .filter((part) => part !== '' && !part.split(';').some(namesAccessToken))
  return `?${[`access_token=${encodeURIComponent(token)}`, ...kept].join('&')}`
}

/** The open-API service of 微信云托管 names another mini-program of the environment by it. */
const OTHER_APP = 'from_appid'
/** Any of its characters may be encoded. */
const MAY_NAME_APP = /from_appid|%/

/** @see EgressCapability.chooseApp */
export function chooseApp(query: string): { readonly appId: string | null; readonly query: string } {
  if (query === '' || !MAY_NAME_APP.test(query)) return { appId: null, query }
  const appId = new URLSearchParams(query).get(OTHER_APP)
  if (appId === null) return { appId, query }
  const others = query
    .slice(1)
    .split('&')
    .filter((part) => !new URLSearchParams(part).has(OTHER_APP))
  return { appId, query: others.length === 0 ? '' : `?${others.join('&')}` }
}

const MAX_LAYERS = 8

/** True for every name that a server could take for access_token: encoded more than once, in
 *  another case or with look-alikes (NFKC), with other characters for the underscore (PHP), cut at
 *  a control character (C), or as an array. */
function namesAccessToken(part: string): boolean {
  let name = part.split('=', 1)[0] ?? ''
  for (let layer = 0; layer < MAX_LAYERS; layer++) {
    if (isAccessToken(name)) return true
    const decoded = decode(name)
    if (decoded === name) return false
    name = decoded
  }
  return true
}

function isAccessToken(name: string): boolean {
  const text = foldCase(name.normalize('NFKC'))
  const cut = [text, text.split(/[[.]/, 1)[0] ?? '', text.split(/\p{Cc}/u, 1)[0] ?? '']
  return cut.some((one) => one.replace(/[^a-z]/g, '') === 'accesstoken')
}

function decode(text: string): string {
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    // Bytes that are not UTF-8, such as %61ccess_token%ff: each byte is one character.
    return spaced.replace(/%[0-9a-f]{2}/gi, (triplet) => String.fromCharCode(Number.parseInt(triplet.slice(1), 16)))
  }
}
