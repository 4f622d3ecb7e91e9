/** The session as it survives the end of the mini-program. */
import type { Wx } from './wx'

export interface User {
  readonly id: string
  readonly status: 'anonymous' | 'bound'
  /** True once, in the answer to the user's first login. */
  readonly is_new?: boolean
  /** What the login hook of the gateway adds. */
  readonly [more: string]: unknown
}

export interface Session {
  readonly accessToken: string
  readonly refreshToken: string
  /** By the phone's clock when the answer came, in milliseconds: when it came, from when on the token should be renewed, and
   *  when it ends. That clock may be wrong, but it is the same one that will be asked. */
  readonly receivedAt: number
  readonly renewAt: number
  readonly expiresAt: number
  readonly user: User
}

export interface Storage {
  /** Null when there is none, or none of this gateway's. */
  read(): Session | null
  write(session: Session): void
  clear(): void
}

const VERSION = 1

export interface StorageOptions {
  readonly wx: Wx
  readonly key: string
  /** A session is bound to it: a trial version's tokens are not sent to production. */
  readonly base: string
  readonly appId: string
}

/** A storage that fails (full, or damaged) costs a login at the next start, and nothing else. */
export function createStorage({ wx, key, base, appId }: StorageOptions): Storage {
  return {
    read() {
      try {
        const stored = wx.getStorageSync(key) as { [name: string]: unknown } | undefined
        if (stored?.version !== VERSION || stored.base !== base || stored.appId !== appId) return null
        return isSession(stored.session) ? stored.session : null
      } catch (_error) {
        return null
      }
    },
    write(session) {
      try {
        wx.setStorageSync(key, { version: VERSION, base, appId, session })
      } catch (_error) {
        // The session lives on in memory.
      }
    },
    clear() {
      try {
        wx.removeStorageSync(key)
      } catch (_error) {
        // What cannot be removed can at least be emptied.
        try {
          wx.setStorageSync(key, '')
        } catch (_error) {
          // Nothing more can be done here; the gateway ends the session.
        }
      }
    }
  }
}

function isSession(value: unknown): value is Session {
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

/** What may stand in a header. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)
}
