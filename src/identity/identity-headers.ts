/** Builds the identity headers that a backend receives. */
import type { Claims, Principal, UserStatus } from './principal.ts'

/** `wxgate`: X-OpenId and the rest of its family. `cloudrun`: the names of WeChat Cloud Run
 *  (微信云托管). */
export type IdentityStyle = 'wxgate' | 'cloudrun'

/** Name and value in turns. */
export function identityHeaders(principal: Principal, style: IdentityStyle, status: UserStatus): string[] {
  const { openId, appId, unionId, userId, sessionId } = principal
  if (style === 'cloudrun') {
    const headers = ['X-WX-OPENID', openId, 'X-WX-APPID', appId, 'X-WX-SOURCE', 'wx_client']
    if (unionId !== null) headers.push('X-WX-UNIONID', unionId)
    return headers
  }
  const headers = ['X-OpenId', openId, 'X-AppId', appId, 'X-User-Id', userId]
  headers.push('X-User-Status', status, 'X-Session-Id', sessionId)
  if (unionId !== null) headers.push('X-UnionId', unionId)
  return headers
}

/** Headers that a route fills from claims. A value outside printable ASCII is percent-encoded
 *  as UTF-8 (RFC 8187, section 3.2), so a claim cannot start another header.
 *  @param inject Header name to claim name. */
export function claimHeaders(inject: Readonly<Record<string, string>>, claims: Claims): string[] {
  const headers: string[] = []
  for (const [name, claim] of Object.entries(inject)) {
    const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
    if (value !== undefined) headers.push(name, encodeValue(Array.isArray(value) ? value.join(',') : String(value)))
  }
  return headers
}

export function encodeValue(value: string): string {
  return /^[\x21-\x24\x26-\x7e]*$/.test(value) ? value : encodeURIComponent(value.toWellFormed())
}
