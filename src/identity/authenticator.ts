/** Finds the sender of a request in memory. */
import { ApiError } from '../errors.ts'
import type { Principal } from './principal.ts'
import type { Revocations } from './revocations.ts'
import type { AccessTokens } from './tokens/access-tokens.ts'

const REVOKED = new ApiError('session_revoked', 'This session was ended. Log in again.')
const UNTRUSTED = new ApiError(
  'store_unavailable',
  'The session store has been unreachable for too long to tell whether this session is alive. Try again shortly.',
  { retryAfter: 5 }
)

export interface Authenticator {
  /** The sender; null without a credential; an error for a credential that is not accepted. */
  authenticate(authorization: string | undefined): Principal | ApiError | null
  /** True when authenticate() verifies no signature: without a credential, or with one seen
   *  before. */
  remembers(authorization: string | undefined): boolean
}

export function createAuthenticator(tokens: AccessTokens, revocations: Revocations): Authenticator {
  return {
    authenticate(authorization) {
      if (authorization === undefined) return null
      const principal = tokens.verify(authorization)
      if (principal instanceof ApiError) return principal
      // The token proves whom it was issued to; only the feed knows whether its session still
      // lives. A revocation read before the feed was lost stays valid.
      if (revocations.isRevoked(principal)) return REVOKED
      return revocations.isTrusted ? principal : UNTRUSTED
    },
    remembers: (authorization) => authorization === undefined || tokens.recall(authorization) !== undefined
  }
}
