/** Refresh tokens: opaque to the client, computed and not stored. A forged one is refused
 *  without asking the store. */
import { isEqualText, type KeyRing, mac, type Secret } from '../../crypto/key-ring.ts'

const PREFIX = 'wxr'
const MAX_LENGTH = 256

/** The session of a refresh token and its number in the family. */
export interface RefreshTokenClaims {
  readonly sessionId: string
  readonly generation: number
}

export interface RefreshTokens {
  /** Equal arguments give an equal token. */
  sign(sessionId: string, generation: number): string
  /** Null for a token that this gateway did not sign. Does not check whether it was used or its
   *  session ended. */
  verify(token: string): RefreshTokenClaims | null
}

export function createRefreshTokens(ring: KeyRing): RefreshTokens {
  const tagOf = (secret: Secret, body: string) => mac(secret.derive('refresh', 32), body)
  return {
    sign(sessionId, generation) {
      const body = `${PREFIX}.${ring.current.kid}.${sessionId}.${generation}`
      return `${body}.${tagOf(ring.current, body)}`
    },
    verify(token) {
      if (token.length > MAX_LENGTH) return null
      const [prefix, kid, sessionId, count, tag, ...rest] = token.split('.')
      if (prefix !== PREFIX || !kid || !sessionId || !count || !tag || rest.length > 0) return null
      const generation = Number(count)
      if (!Number.isSafeInteger(generation) || generation < 0 || String(generation) !== count) return null
      const secret = ring.find(kid)
      if (!secret) return null
      const body = token.slice(0, token.length - tag.length - 1)
      return isEqualText(tag, tagOf(secret, body)) ? { sessionId, generation } : null
    }
  }
}
