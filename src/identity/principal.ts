/** The user and session behind a request. */

export type UserStatus = 'anonymous' | 'bound'

/** Claims that the login hook gave a user. The token carries them. */
export type Claims = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface Principal {
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly userId: string
  readonly sessionId: string
  /** Number of times that all sessions of the user were ended before this one began. */
  readonly epoch: number
  readonly status: UserStatus
  readonly claims: Claims
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}
