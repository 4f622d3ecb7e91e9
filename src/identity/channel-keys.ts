/** Keys of the encrypted channel: per user, issued by the platform, a new version every hour. */
import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { ApiError } from '../errors.ts'
import type { ChannelCapability, ChannelKey, PlatformApp } from '../platforms/port.ts'
import type { Store } from '../store/port.ts'
import type { RecordKeys } from './record-keys.ts'
import type { SessionKeys } from './session-keys.ts'

/** A key still opens a request that was sent at the end of its life (milliseconds). */
const OVERLAP = 5 * 60_000
/** Calls to the platform for one user. A key lives for an hour, so that one call is enough. */
const FETCHES = { max: 6, windowMs: 60_000 }
const REMEMBERED_USERS = 5_000

const TOO_MANY = new ApiError('rate_limited', 'The key of this user was asked for too often. Wait a minute.', {
  retryAfter: 60
})
const STALE = new ApiError(
  'session_key_stale',
  'The encrypted channel needs the session_key of a newer login. Call wx.login and log in again.'
)

export interface ChannelKeys {
  /** The decoded key, 16 bytes. Null for a version that the platform does not list, or that has
   *  expired. Throws session_key_stale without a valid session_key. */
  find(appId: string, openId: string, version: number): Promise<Buffer | null>
  /** Claims the nonce of a request on all instances. False when it was claimed before. */
  claim(appId: string, openId: string, nonce: string, ttlMs: number): Promise<boolean>
}

export interface ChannelKeysOptions {
  readonly store: Pick<Store, 'get' | 'set' | 'setIfAbsent' | 'increment'>
  readonly sealer: Sealer
  readonly clock: Pick<Clock, 'now'>
  readonly keys: Pick<RecordKeys, 'channel'>
  readonly sessionKeys: Pick<SessionKeys, 'current'>
  readonly findApp: (appId: string) => PlatformApp | undefined
  readonly channelOf: (appId: string) => ChannelCapability
}

export function createChannelKeys(options: ChannelKeysOptions): ChannelKeys {
  const { store, sealer, clock, keys, sessionKeys, findApp, channelOf } = options
  const remembered = new LRUCache<string, readonly ChannelKey[]>({
    maxSize: REMEMBERED_USERS,
    sizeCalculation: () => 1
  })
  const flights = new Map<string, Promise<readonly ChannelKey[]>>()

  const contextOf = (record: string) => `channel:1:${record}`
  const isAlive = ({ expiresAt }: ChannelKey) => clock.now() < expiresAt + OVERLAP
  const bytesOf = ({ key }: ChannelKey) => Buffer.from(key, 'base64')

  /** Null when `list` says nothing about this version: a later fetch may. */
  function pick(list: readonly ChannelKey[], version: number): ChannelKey | 'unknown' | null {
    const found = list.find((one) => one.version === version)
    if (found) return isAlive(found) ? found : null
    return list.some((one) => one.version > version) ? null : 'unknown'
  }

  async function readShared(record: string): Promise<readonly ChannelKey[]> {
    const sealed = await store.get(record)
    const opened = sealed === undefined ? null : sealer.open(sealed, contextOf(record))
    return opened === null ? [] : (JSON.parse(opened.text) as ChannelKey[])
  }

  async function fetchKeys(appId: string, openId: string, record: string): Promise<readonly ChannelKey[]> {
    const calls = await store.increment(`${record}:fetches`, FETCHES.windowMs)
    if (calls > FETCHES.max) throw TOO_MANY
    const app = findApp(appId)
    const sessionKey = await sessionKeys.current(appId, openId)
    if (app === undefined || sessionKey === null) throw STALE
    const list = await channelOf(appId).userKeys(app, openId, sessionKey)
    const lifeMs = Math.max(...list.map(({ expiresAt }) => expiresAt)) + OVERLAP - clock.now()
    if (lifeMs > 0) await store.set(record, sealer.seal(JSON.stringify(list), contextOf(record)), lifeMs)
    return list
  }

  function fetchOnce(appId: string, openId: string, record: string): Promise<readonly ChannelKey[]> {
    const present = flights.get(record)
    if (present) return present
    const flight = fetchKeys(appId, openId, record).finally(() => flights.delete(record))
    flights.set(record, flight)
    return flight
  }

  return {
    async find(appId, openId, version) {
      const record = keys.channel(appId, openId)
      const sources = [
        () => remembered.get(record) ?? [],
        () => readShared(record),
        () => fetchOnce(appId, openId, record)
      ]
      for (const read of sources) {
        const list = await read()
        if (list.length > 0) remembered.set(record, list)
        const found = pick(list, version)
        if (found !== 'unknown') return found && bytesOf(found)
      }
      return null
    },

    claim: (appId, openId, nonce, ttlMs) => store.setIfAbsent(`${keys.channel(appId, openId)}:${nonce}`, '1', ttlMs)
  }
}
