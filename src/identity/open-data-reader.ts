/** Decrypts and verifies a user's open data with the stored session_keys. */
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import type { OpenData, OpenDataCapability, SealedOpenData, SignedRawData } from '../platforms/port.ts'
import type { SessionKeys } from './session-keys.ts'

/** One body for every cause: missing key, key too old, failed decryption, data of another app. */
export const SESSION_KEY_STALE = new ApiError(
  'session_key_stale',
  'The session_key of the last login does not fit this data. Call wx.login, log in, and ask WeChat for the data again.'
)

/** The newest key and the one before it. */
const TRIES = 2

export interface OpenDataReader {
  /** Returns the whole data, openId and unionId included. Throws SESSION_KEY_STALE for every
   *  failure. */
  decrypt(appId: string, openId: string, sealed: SealedOpenData): Promise<OpenData>
  /** True when `signature` matches exactly this rawData under the newest key; the one before it
   *  only decrypts. Throws SESSION_KEY_STALE without a key. */
  verify(appId: string, openId: string, signed: SignedRawData): Promise<boolean>
}

export interface OpenDataReaderOptions {
  readonly sessionKeys: Pick<SessionKeys, 'current' | 'forDecrypting'>
  readonly openDataOf: (appId: string) => OpenDataCapability
  readonly clock: Pick<Clock, 'now'>
}

export function createOpenDataReader({ sessionKeys, openDataOf, clock }: OpenDataReaderOptions): OpenDataReader {
  return {
    async decrypt(appId, openId, sealed) {
      const cipher = openDataOf(appId)
      const keys = await sessionKeys.forDecrypting(appId, openId)
      const now = clock.now()
      // Spare keys replace missing ones, so every failure takes the same time.
      const spares = Array.from({ length: TRIES }, () => cipher.createSpareKey())
      for (const sessionKey of [...keys, ...spares].slice(0, TRIES)) {
        const data = cipher.decrypt({ ...sealed, sessionKey, appId, openId, now })
        if (data !== null) return data
      }
      throw SESSION_KEY_STALE
    },

    async verify(appId, openId, signed) {
      const sessionKey = await sessionKeys.current(appId, openId)
      if (sessionKey === null) throw SESSION_KEY_STALE
      return openDataOf(appId).verify({ ...signed, sessionKey })
    }
  }
}
