/** Finds the sender of a request in memory. */
import { ApiError } from '../errors.ts'
import type { Principal } from './principal.ts'
import type { Revocations } from './revocations.ts'
import type { AccessTokens } from './tokens/access-tokens.ts'

const REVOKED = new ApiError('session_revoked', 'This session was ended. Log in again.')
const UNTRUSTED = new ApiError(
  'store_unavailable',
  'The session store has been unreachable for too long, so the gateway cannot check whether this session has ended. Try again shortly.',
  { retryAfter: 5 }
)

/** The sender of a request; null without a credential; an error for a credential that is not
 *  accepted. */
export type Sender = Principal | ApiError | null

export interface Authenticator {
  authenticate(authorization: string | undefined): Sender
  /** The answer of authenticate() from memory; undefined when a signature must be checked. */
  recall(authorization: string | undefined): Sender | undefined
}

export function createAuthenticator(tokens: AccessTokens, revocations: Revocations): Authenticator {
  /** The token proves whom it was issued to; only the feed knows whether its session still lives. A
   *  revocation read before the feed was lost stays valid. */
  function judge(verdict: Principal | ApiError): Principal | ApiError {
    if (verdict instanceof ApiError) return verdict
    if (revocations.isRevoked(verdict)) return REVOKED
    return revocations.isTrusted ? verdict : UNTRUSTED
  }

  return {
    authenticate: (authorization) => (authorization === undefined ? null : judge(tokens.verify(authorization))),
    recall(authorization) {
      if (authorization === undefined) return null
      const known = tokens.recall(authorization)
      return known === undefined ? undefined : judge(known)
    }
  }
}
