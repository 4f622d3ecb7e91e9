/** Open data of a user, opened with the session_keys that are kept for them. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import { decryptOpenData, type OpenData, verifyRawData } from '../platforms/wechat/open-data.ts'
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
  verify(appId: string, openId: string, signed: { rawData: string; signature: string }): Promise<boolean>
}

export interface SealedOpenData {
  readonly encryptedData: string
  readonly iv: string
}

export interface OpenDataReaderOptions {
  readonly sessionKeys: Pick<SessionKeys, 'current' | 'forDecrypting'>
  readonly clock: Clock
}

export function createOpenDataReader({ sessionKeys, clock }: OpenDataReaderOptions): OpenDataReader {
  // Nothing was ever encrypted with these. They take the places of keys that there are none of, so that a failure costs
  // the same whatever the reason.
  const spares = Array.from({ length: TRIES }, () => randomBytes(16).toString('base64'))

  return {
    async decrypt(appId, openId, { encryptedData, iv }) {
      const keys = await sessionKeys.forDecrypting(appId, openId)
      const now = clock.now()
      for (const sessionKey of [...keys, ...spares].slice(0, TRIES)) {
        const data = decryptOpenData({ sessionKey, encryptedData, iv, appId, openId, now })
        if (data !== null) return data
      }
      throw SESSION_KEY_STALE
    },

    async verify(appId, openId, { rawData, signature }) {
      const sessionKey = await sessionKeys.current(appId, openId)
      if (sessionKey === null) throw SESSION_KEY_STALE
      return verifyRawData({ sessionKey, rawData, signature })
    }
  }
}
