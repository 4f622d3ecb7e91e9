/** The user and session behind a request. */

export type UserStatus = 'anonymous' | 'bound'

/** Claims of the login hook about a user. They travel in the token. */
export type Claims = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface Principal {
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly userId: string
  readonly sessionId: string
  /** Count of the endings of all sessions of this user, when the session began. */
  readonly epoch: number
  readonly status: UserStatus
  readonly claims: Claims
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}
