/** Keys of the encrypted channel: a new version for a user every hour. */
import { randomBytes } from 'node:crypto'
import { createBoundedMap } from './bounded-map.ts'

const LIFE = 3_600_000
/** WeChat lists the newest ones, expired or not. */
const LISTED = 3

interface UserKey {
  readonly encryptKey: string
  /** Text, not base64. */
  readonly iv: string
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

export interface UserKeys {
  /** Newest first; makes a key when the newest one has expired. */
  list(appId: string, openId: string): readonly UserKey[]
  /** Makes a new version before the present one has expired. */
  roll(appId: string, openId: string): void
  /** Seconds; 0 for an expired key. */
  expiresIn(key: UserKey): number
  clear(): void
}

export function createUserKeys({ now }: { readonly now: () => number }): UserKeys {
  const users = createBoundedMap<string, readonly UserKey[]>()
  const idOf = (appId: string, openId: string) => `${appId} ${openId}`
  const expiresIn = ({ createdAt }: UserKey) => Math.max(0, Math.floor((createdAt + LIFE - now()) / 1000))

  function roll(appId: string, openId: string): readonly UserKey[] {
    const known = users.get(idOf(appId, openId)) ?? []
    const added = {
      encryptKey: randomBytes(16).toString('base64'),
      iv: randomBytes(8).toString('hex'),
      version: (known[0]?.version ?? 0) + 1,
      createdAt: now()
    }
    const keys = [added, ...known].slice(0, LISTED)
    users.set(idOf(appId, openId), keys)
    return keys
  }

  return {
    list(appId, openId) {
      const known = users.get(idOf(appId, openId))
      const [newest] = known ?? []
      return known && newest && expiresIn(newest) > 0 ? known : roll(appId, openId)
    },
    roll: (appId, openId) => void roll(appId, openId),
    expiresIn,
    clear: () => users.clear()
  }
}
