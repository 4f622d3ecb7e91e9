/** Reads the answer of getuserencryptkey. */
import type { ChannelKey } from '../port.ts'
import { isSessionKey } from './open-data-cipher.ts'

/** WeChat lists three. */
const MAX_KEYS = 16
/** Seconds; a key of WeChat lives for one hour. */
const MAX_LIFE = 86_400

/** Null for any other value. `iv` is not used: each message has its own.
 *  @param list `key_info_list`.
 *  @param now Milliseconds since the epoch. */
export function readUserKeys(list: unknown, now: number): ChannelKey[] | null {
  if (!Array.isArray(list) || list.length === 0 || list.length > MAX_KEYS) return null
  const keys = list.map((item) => readUserKey(item, now))
  return keys.every((key) => key !== null) ? keys : null
}

function readUserKey(item: unknown, now: number): ChannelKey | null {
  if (typeof item !== 'object' || item === null) return null
  const { encrypt_key: key, version, expire_in: expiresIn } = item as Record<string, unknown>
  // The encrypt_key has the form of a session_key.
  if (!isSessionKey(key) || !isWhole(version, Number.MAX_SAFE_INTEGER) || !isWhole(expiresIn, MAX_LIFE)) return null
  return { version, key, expiresAt: now + expiresIn * 1000 }
}

function isWhole(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most
}
