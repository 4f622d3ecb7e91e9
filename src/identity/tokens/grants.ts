/** Builds the answer to a login or refresh: the pair of tokens and their lifetimes. */
import type { UserStatus } from '../principal.ts'
import type { Session } from '../sessions.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { RefreshTokens } from './refresh-tokens.ts'

/** Wire format of POST /auth/login and /auth/refresh; durations in seconds. */
export interface Grant {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly refresh_token: string
  readonly refresh_expires_in: number
}

export interface Grants {
  /** The tokens of the session's newest generation. They depend on the session alone, so that a
   *  lost answer can be given again. */
  issue(session: Session, status: UserStatus): Grant
}

export interface GrantsOptions {
  readonly accessTokens: AccessTokens
  readonly refreshTokens: RefreshTokens
  /** Milliseconds. */
  readonly accessTtl: number
  readonly refreshTtl: number
}

export function createGrants({ accessTokens, refreshTokens, accessTtl, refreshTtl }: GrantsOptions): Grants {
  return {
    issue(session, status) {
      const { issuedAt, endsAt } = session
      const expiresAt = Math.min(issuedAt + accessTtl, endsAt)
      const subject = { ...session, sessionId: session.id, status }
      return {
        access_token: accessTokens.sign(subject, issuedAt, expiresAt),
        token_type: 'Bearer',
        expires_in: Math.floor((expiresAt - issuedAt) / 1000),
        refresh_token: refreshTokens.sign(session.id, session.generation),
        refresh_expires_in: Math.floor((Math.min(issuedAt + refreshTtl, endsAt) - issuedAt) / 1000)
      }
    }
  }
}
