/** Signs and verifies access tokens. */
import type { Clock } from '../../clock.ts'
import type { Sealer } from '../../crypto/sealer.ts'
import { ApiError } from '../../errors.ts'
import type { Claims, Principal } from '../principal.ts'
import type { JwtCodec } from './jwt-codec.ts'
import { createTokenMemory } from './token-memory.ts'

/** Seconds by which the clocks of instances may differ. */
const SKEW = 5
/** Longer credentials are refused before any other work. */
const MAX_CREDENTIAL = 4096

const OPEN_ID = /^[A-Za-z0-9_-]{6,128}$/
/** Ids made by the gateway. They become header values upstream. */
const ID = /^[A-Za-z0-9_-]{1,128}$/
const SEGMENTS = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/

/** The subject of a token, without its expiry. */
export type AccessTokenSubject = Omit<Principal, 'expiresAt'>

export interface AccessTokens {
  /** Equal arguments give an equal token, except with ES256, whose signatures are random. Times
   *  in milliseconds. */
  sign(subject: AccessTokenSubject, issuedAt: number, expiresAt: number): string
  /** Verifies the value of an Authorization header (RFC 6750, section 2.1). Does not check
   *  revocation. */
  verify(authorization: string): Principal | ApiError
  /** The answer of verify() from memory; undefined when a signature must be checked. */
  recall(authorization: string): Principal | ApiError | undefined
  readonly publicKeys: readonly Readonly<Record<string, unknown>>[]
}

export interface AccessTokenOptions {
  /** The first one signs. */
  readonly codecs: readonly JwtCodec[]
  readonly issuer: string
  readonly appIds: readonly string[]
  /** Longest lifetime of a token in milliseconds. Revocations are kept for as long: a token with a
   *  longer lifetime would outlive its revocation. */
  readonly accessTtl: number
  readonly openId: 'sealed' | 'plain'
  /** Deterministic, so that the same answer can be given twice. */
  readonly sealer: Sealer
  readonly clock: Clock
}

const invalid = (detail: string) => new ApiError('token_invalid', detail)
const MALFORMED = invalid('The Authorization header is not "Bearer" and one access token. Log in again to get one.')
const TOO_LONG = invalid('The access token is longer than any this gateway issues. Log in again to get one.')
const NOT_OURS = invalid('The access token was not issued by this gateway, or was changed. Log in again.')
const NOT_YET = invalid('The access token is dated in the future. The clocks of the gateway do not agree.')
const EXPIRED = new ApiError('token_expired', 'The access token has expired. Use the refresh token to get a new one.')

export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  const { codecs, issuer, accessTtl, sealer, clock } = options
  const [signer] = codecs
  if (!signer) throw new Error('access tokens need at least one key')
  const byHeader = new Map(codecs.map((codec) => [codec.header, codec]))
  const appIds = new Set(options.appIds)
  const memory = createTokenMemory()

  function sign(subject: AccessTokenSubject, issuedAt: number, expiresAt: number): string {
    const identity = `${subject.openId}\n${subject.unionId ?? ''}`
    return (signer as JwtCodec).sign({
      iss: issuer,
      aud: subject.appId,
      sub: subject.userId,
      sid: subject.sessionId,
      iat: Math.floor(issuedAt / 1000),
      exp: Math.floor(expiresAt / 1000),
      epoch: subject.epoch,
      status: subject.status,
      ...(Object.keys(subject.claims).length > 0 ? { claims: subject.claims } : {}),
      ...(options.openId === 'plain'
        ? { openid: subject.openId, ...(subject.unionId ? { unionid: subject.unionId } : {}) }
        : { oid: sealer.seal(identity, `${subject.appId}:${subject.sessionId}`) })
    })
  }

  function recall(authorization: string): Principal | ApiError | undefined {
    if (authorization.length > MAX_CREDENTIAL) return TOO_LONG
    const token = tokenOf(authorization)
    if (token === null) return MALFORMED
    const known = memory.find(token)
    if (known === undefined || known instanceof ApiError) return known
    return known.expiresAt > clock.now() ? known : EXPIRED
  }

  function verify(authorization: string): Principal | ApiError {
    const known = recall(authorization)
    if (known !== undefined) return known
    const token = tokenOf(authorization) ?? ''
    const result = inspect(token)
    if (!(result instanceof ApiError)) memory.verified(token, result)
    // A verdict that depends on the time can change.
    else if (result !== EXPIRED && result !== NOT_YET) memory.refused(token, result)
    return result
  }

  function inspect(token: string): Principal | ApiError {
    const segments = SEGMENTS.exec(token)
    if (!segments) return MALFORMED
    const [, header, , signature] = segments
    if (header === undefined || signature === undefined) return MALFORMED
    const codec = byHeader.get(header)
    if (!codec) return NOT_OURS
    // Unused bits of the last character must be zero: otherwise one token has several spellings.
    if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return NOT_OURS
    const claims = codec.verify(token)
    return claims ? readClaims(claims) : NOT_OURS
  }

  function readClaims(claims: Readonly<Record<string, unknown>>): Principal | ApiError {
    const { iss, aud, sub, sid, iat, nbf, exp, epoch, status } = claims
    if (iss !== issuer || typeof aud !== 'string' || !appIds.has(aud)) return NOT_OURS
    if (!isId(sub) || !isId(sid) || !isCount(epoch) || !isCount(iat) || !isCount(exp)) return NOT_OURS
    if (status !== 'anonymous' && status !== 'bound') return NOT_OURS
    if (exp <= iat || (nbf !== undefined && !isCount(nbf))) return NOT_OURS
    const identity = readIdentity(claims, aud, sid)
    if (!identity) return NOT_OURS
    const now = clock.now()
    if (Math.max(iat, nbf ?? 0) > now / 1000 + SKEW) return NOT_YET
    // A longer lifetime than accessTtl: the token dates from before accessTtl was shortened. A
    // refresh gives one that fits.
    if (exp * 1000 <= now || exp - iat > accessTtl / 1000 + SKEW) return EXPIRED
    return {
      appId: aud,
      openId: identity.openId,
      unionId: identity.unionId,
      userId: sub,
      sessionId: sid,
      epoch,
      status,
      claims: readHookClaims(claims.claims),
      expiresAt: exp * 1000
    }
  }

  function readIdentity(claims: Readonly<Record<string, unknown>>, appId: string, sessionId: string) {
    let openId = claims.openid
    let unionId = claims.unionid ?? null
    if (typeof claims.oid === 'string') {
      const opened = sealer.open(claims.oid, `${appId}:${sessionId}`)
      if (!opened) return null
      const [first, second] = opened.text.split('\n')
      openId = first
      unionId = second || null
    }
    if (typeof openId !== 'string' || !OPEN_ID.test(openId)) return null
    if (unionId !== null && (typeof unionId !== 'string' || !OPEN_ID.test(unionId))) return null
    return { openId, unionId }
  }

  const publicKeys = codecs.flatMap((codec) => (codec.publicJwk ? [codec.publicJwk] : []))
  return { sign, verify, recall, publicKeys }
}

/** Null unless the scheme is Bearer: case-insensitive (RFC 9110, section 11.1), followed by
 *  exactly one space. */
function tokenOf(authorization: string): string | null {
  if (!authorization.startsWith('Bearer ') && authorization.slice(0, 7).toLowerCase() !== 'bearer ') return null
  return authorization.slice(7)
}

const isId = (value: unknown): value is string => typeof value === 'string' && ID.test(value)
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

/** One shared object: tens of thousands of principals are remembered. */
const NO_CLAIMS: Claims = Object.freeze(Object.create(null))

/** Accepts plain values under plain names only. The signature proves the origin, not the shape
 *  of what a hook answered. */
function readHookClaims(value: unknown): Claims {
  if (typeof value !== 'object' || value === null) return NO_CLAIMS
  const claims: Record<string, string | number | boolean | readonly string[]> = Object.create(null)
  for (const [name, claim] of Object.entries(value)) {
    if (name === '__proto__') continue
    if (typeof claim === 'string' || typeof claim === 'number' || typeof claim === 'boolean') claims[name] = claim
    else if (Array.isArray(claim) && claim.every((item) => typeof item === 'string')) claims[name] = claim
  }
  return claims
}
