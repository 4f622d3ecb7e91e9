/** Who a request turned out to be. */

export type UserStatus = 'anonymous' | 'bound'

/** What a login hook may say about a user; it travels in the token. */
export type Claims = Readonly<Record<string, string | number | boolean | readonly string[]>>

export interface Principal {
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly userId: string
  readonly sessionId: string
  /** How often all sessions of this user had been ended when the session began. */
  readonly epoch: number
  readonly status: UserStatus
  readonly claims: Claims
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}
