/** Open data of a user, opened with the session_keys that are kept for them. */
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import type { OpenData, OpenDataCapability, SealedOpenData, SignedRawData } from '../platforms/port.ts'
import type { SessionKeys } from './session-keys.ts'

/** Missing, too old, did not decrypt, not ours: one body for all. */
export const SESSION_KEY_STALE = new ApiError(
  'session_key_stale',
  'This cannot be done with the session_key of the last login. Call wx.login, log in, and ask WeChat for the data again.'
)

/** The newest key, and the one before it. */
const TRIES = 2

export interface OpenDataReader {
  /** The whole data, openId and unionId included. Throws SESSION_KEY_STALE for every failure alike. */
  decrypt(appId: string, openId: string, sealed: SealedOpenData): Promise<OpenData>
  /** Whether `signature` belongs to exactly this rawData by the newest key; the one before it is for decrypting only.
   *  SESSION_KEY_STALE where there is no key to tell by. */
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
      // Spare keys take the places of missing ones: a failure costs the same whatever its reason.
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
