/** Finds the sender of a request, from memory alone. */
import { ApiError } from '../errors.ts'
import type { Principal } from './principal.ts'
import type { Revocations } from './revocations.ts'
import type { AccessTokens } from './tokens/access-tokens.ts'

const REVOKED = new ApiError('session_revoked', 'This session was ended. Log in again.')
const UNTRUSTED = new ApiError(
  'store_unavailable',
  'Whether this session is still alive cannot be told, since the session store has been away for too long. Try again shortly.',
  { retryAfter: 5 }
)

export interface Authenticator {
  /** The sender; null when no credential was sent; an error for one that is not acceptable. */
  authenticate(authorization: string | undefined): Principal | ApiError | null
  /** Whether that would cost next to nothing: the credential was seen before, or there is none. */
  remembers(authorization: string | undefined): boolean
}

export function createAuthenticator(tokens: AccessTokens, revocations: Revocations): Authenticator {
  return {
    authenticate(authorization) {
      if (authorization === undefined) return null
      const principal = tokens.verify(authorization)
      if (principal instanceof ApiError) return principal
      // A verified token says who it was made for; only the feed says whether that still counts. What it said before it
      // was lost stays true.
      if (revocations.isRevoked(principal)) return REVOKED
      return revocations.isTrusted ? principal : UNTRUSTED
    },
    remembers: (authorization) => authorization === undefined || tokens.remembers(authorization)
  }
}
