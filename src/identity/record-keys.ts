/** Keys of the records that name an account. An openid or unionid is unique within its platform,
 *  so keys name that too. */
import type { Platform } from '../platforms/port.ts'

/** Users do not expire, but the store port requires a TTL (milliseconds). */
export const FOREVER = 100 * 365 * 24 * 3_600_000
/** Lifetime of a record under its former key after the last write. An instance of 0.1.0 may be
 *  started again for as long. */
export const FORMER_TTL = 30 * 24 * 3_600_000

/** Version 0.1.0 knew one platform, and its keys name none. */
export interface RecordKey {
  readonly key: string
  /** Key of the same record in 0.1.0; null for a platform that 0.1.0 did not know. */
  readonly former: string | null
}

export interface RecordKeys {
  user(appId: string, openId: string): RecordKey
  sessionKey(appId: string, openId: string): RecordKey
  union(appId: string, unionId: string): RecordKey
  /** Keys of the encrypted channel. */
  channel(appId: string, openId: string): string
  /** Accounts of a user id. */
  accounts(userId: string): string
}

export type KeyedPlatform = Pick<Platform, 'name' | 'unionScope' | 'ownsFormerKeys'>

export function createRecordKeys(platformOf: (appId: string) => KeyedPlatform): RecordKeys {
  function keyOf(kind: string, appId: string, openId: string): RecordKey {
    const { name, ownsFormerKeys } = platformOf(appId)
    const key = `${kind}:${name}:${appId}:${openId}`
    return { key, former: ownsFormerKeys ? `${kind}:${appId}:${openId}` : null }
  }
  return {
    user: (appId, openId) => keyOf('user', appId, openId),
    sessionKey: (appId, openId) => keyOf('key', appId, openId),
    union(appId, unionId) {
      const { unionScope, ownsFormerKeys } = platformOf(appId)
      return { key: `union:${unionScope}:${unionId}`, former: ownsFormerKeys ? `union:${unionId}` : null }
    },
    channel: (appId, openId) => `channel:${platformOf(appId).name}:${appId}:${openId}`,
    accounts: (userId) => `accounts:${userId}`
  }
}
