/** Builds the identity headers that a backend receives. */
import type { Claims, Principal, UserStatus } from './principal.ts'

/** Settings of the names of WeChat Cloud Run (微信云托管). */
export interface CloudRunNames {
  /** Value of X-WX-ENV; null to leave it out. */
  readonly env: string | null
  /** The mini-program that owns the environment: users of any other one have the X-WX-FROM-*
   *  headers. Null: every mini-program counts as the owner. */
  readonly app: string | null
}

/** The family of X-OpenId, name and value in turns. */
export function identityHeaders(principal: Principal, status: UserStatus): string[] {
  const { openId, appId, unionId, userId, sessionId } = principal
  const headers = ['X-OpenId', openId, 'X-AppId', appId, 'X-User-Id', userId]
  headers.push('X-User-Status', status, 'X-Session-Id', sessionId)
  if (unionId !== null) headers.push('X-UnionId', unionId)
  return headers
}

/** X-WX-OPENID and its family, as a container of WeChat Cloud Run receives them. */
export function cloudRunHeaders({ openId, appId, unionId }: Principal, { env, app }: CloudRunNames): string[] {
  const isShared = app !== null && app !== appId
  const family = isShared ? 'X-WX-FROM-' : 'X-WX-'
  const headers = [`${family}OPENID`, openId, `${family}APPID`, appId]
  if (unionId !== null) headers.push(`${family}UNIONID`, unionId)
  if (isShared) headers.push('X-WX-APPID', app)
  if (env !== null) headers.push('X-WX-ENV', env)
  headers.push('X-WX-SOURCE', 'wx_client')
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
