/** Keeps the session in wx's storage, so that it survives the end of the mini-program. */
import { createAttempt } from './attempt'
import type { Wx } from './wx'

export interface User {
  readonly id: string
  readonly status: 'anonymous' | 'bound'
  /** True once, in the answer to the user's first login. */
  readonly is_new?: boolean
  /** Members that the gateway's login hook adds. */
  readonly [more: string]: unknown
}

export interface Session {
  readonly accessToken: string
  readonly refreshToken: string
  /** Sent beside the refresh token. Stored, so that a refresh repeated after a restart is a
   *  repeat. */
  readonly attempt: string
  /** Milliseconds by the phone's clock: the answer's arrival, the time to renew the token, and
   *  its end. A wrong clock is harmless: the same clock is read later. */
  readonly receivedAt: number
  readonly renewAt: number
  readonly expiresAt: number
  readonly user: User
}

export interface Storage {
  /** Returns null without a session of this gateway and mini-program. */
  read(): Session | null
  write(session: Session): void
  clear(): void
}

const VERSION = 1

export interface StorageOptions {
  readonly wx: Wx
  readonly key: string
  /** Binds the session to one gateway: tokens of a trial version are not sent to production. */
  readonly base: string
  readonly appId: string
}

/** A full or damaged storage costs a login at the next start, nothing else. */
export function createStorage({ wx, key, base, appId }: StorageOptions): Storage {
  return {
    read() {
      try {
        const stored = wx.getStorageSync(key) as { [name: string]: unknown } | undefined
        if (stored?.version !== VERSION || stored.base !== base || stored.appId !== appId) return null
        return isSession(stored.session) ? { attempt: createAttempt(), ...stored.session } : null
      } catch (_error) {
        return null
      }
    },
    write(session) {
      try {
        wx.setStorageSync(key, { version: VERSION, base, appId, session })
      } catch (_error) {
        // The session continues in memory.
      }
    },
    clear() {
      try {
        wx.removeStorageSync(key)
      } catch (_error) {
        try {
          wx.setStorageSync(key, '')
        } catch (_error) {
          // The gateway still ends the session.
        }
      }
    }
  }
}

/** Sessions stored by version 0.1.0 have no `attempt`. */
function isSession(value: unknown): value is Omit<Session, 'attempt'> {
  if (typeof value !== 'object' || value === null) return false
  const { accessToken, refreshToken, receivedAt, renewAt, expiresAt, user } = value as Partial<Session>
  return (
    isText(accessToken) &&
    isText(refreshToken) &&
    typeof receivedAt === 'number' &&
    typeof renewAt === 'number' &&
    typeof expiresAt === 'number' &&
    typeof user === 'object' &&
    user !== null &&
    typeof user.id === 'string'
  )
}

/** Accepts text that a header can carry. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}
