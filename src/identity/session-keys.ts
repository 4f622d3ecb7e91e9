/** Keeps session_keys. Between WeChat's answer and its use only this module sees a key in clear. */
import type { Clock } from '../clock.ts'
import type { Opened, Sealer } from '../crypto/sealer.ts'
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'

/** A replaced key still decrypts what the phone encrypted a moment before the newer login
 *  (milliseconds). */
const OVERLAP = 10 * 60 * 1000
/** A key stored further ahead than this counts as missing: the clock that wrote it was wrong
 *  (milliseconds). */
const SKEW = 60_000

const SPARE = 'no session_key'

/** `at` is the start of the exchange with WeChat: of two racing logins the later one holds the
 *  valid key. */
interface SealedKey {
  readonly key: string
  readonly at: number
}

interface KeyRecord {
  readonly current: SealedKey
  readonly previous: SealedKey | null
}

export interface SessionKeys {
  save(appId: string, openId: string, sessionKey: string, exchangedAt: number): Promise<void>
  /** The key to sign with; null when it is missing, older than `sessionKeyTtl`, or cannot be
   *  opened, so that a login is needed. */
  current(appId: string, openId: string): Promise<string | null>
  /** The keys to decrypt with, newest first: the current one and, for ten minutes, the one
   *  before it. */
  forDecrypting(appId: string, openId: string): Promise<readonly string[]>
  /** Stores the key after a reset at WeChat, which ends the old one at once; the new key keeps
   *  the old one's age. False when a login stored another key meanwhile, which stays. */
  replace(appId: string, openId: string, oldKey: string, newKey: string): Promise<boolean>
  forget(appId: string, openId: string): Promise<void>
}

export interface SessionKeysOptions {
  readonly store: Store
  readonly sealer: Sealer
  readonly clock: Clock
  /** Milliseconds. */
  readonly sessionKeyTtl: number
}

export function createSessionKeys({ store, sealer, clock, sessionKeyTtl }: SessionKeysOptions): SessionKeys {
  /** A spare record is read and opened for a user without a key, so that both cases cost the
   *  same. */
  const spare = { key: sealer.seal(SPARE, SPARE), at: 0 }
  const spareRecord = JSON.stringify({ current: spare, previous: spare } satisfies KeyRecord)
  const openSpare = () => {
    sealer.open(spare.key, SPARE)
    return null
  }

  const keyOf = (appId: string, openId: string) => `key:${appId}:${openId}`
  const contextOf = (appId: string, openId: string, at: number) => `session_key:1:${appId}:${openId}:${at}`
  const ttl = sessionKeyTtl + OVERLAP

  async function read(appId: string, openId: string): Promise<{ stored: string; record: KeyRecord } | null> {
    const stored = await store.get(keyOf(appId, openId))
    if (stored === undefined) return null
    const record = parseRecord(stored)
    return record ? { stored, record } : null
  }

  function seal(appId: string, openId: string, key: string, at: number): SealedKey {
    return { key: sealer.seal(key, contextOf(appId, openId, at)), at }
  }

  function unseal(appId: string, openId: string, { key, at }: SealedKey) {
    return at > clock.now() + SKEW ? null : sealer.open(key, contextOf(appId, openId, at))
  }

  function open(appId: string, openId: string, sealed: SealedKey): string | null {
    return unseal(appId, openId, sealed)?.text ?? null
  }

  const isFresh = (sealed: SealedKey) => clock.now() - sealed.at < sessionKeyTtl

  /** Seals a key of an older secret again on use, so that the old secret can be retired.
   *  @param opened The result for each of the record's two keys; null for a key that was not
   *  used. */
  async function reseal(
    appId: string,
    openId: string,
    { stored, record }: { stored: string; record: KeyRecord },
    opened: { current: Opened | null; previous: Opened | null }
  ): Promise<void> {
    const isOld = (one: Opened | null) => one !== null && !one.isCurrent
    if (!isOld(opened.current) && !isOld(opened.previous)) return
    const renew = <T extends SealedKey | null>(sealed: T, one: Opened | null) =>
      sealed && one && isOld(one) ? seal(appId, openId, one.text, sealed.at) : sealed
    const renewed = {
      current: renew(record.current, opened.current),
      previous: renew(record.previous, opened.previous)
    }
    await store.compareAndSet(keyOf(appId, openId), stored, JSON.stringify(renewed), ttl)
  }

  return {
    async save(appId, openId, sessionKey, exchangedAt) {
      const storeKey = keyOf(appId, openId)
      const added = seal(appId, openId, sessionKey, exchangedAt)
      const alone: KeyRecord = { current: added, previous: null }
      await untilWritten('a session_key record', async () => {
        const stored = await store.get(storeKey)
        if (stored === undefined) return (await store.setIfAbsent(storeKey, JSON.stringify(alone), ttl)) || undefined
        const record = parseRecord(stored)
        // A key that cannot be opened counts as missing.
        const known = record && open(appId, openId, record.current)
        const text = JSON.stringify(record && known ? merge(record, added, known === sessionKey) : alone)
        return text === stored || (await store.compareAndSet(storeKey, stored, text, ttl)) || undefined
      })
    },

    async current(appId, openId) {
      const found = await read(appId, openId)
      if (!found || !isFresh(found.record.current)) return null
      const { current: sealed, previous: sealedBefore } = found.record
      const current = unseal(appId, openId, sealed)
      const isDue = current !== null && !current.isCurrent && sealedBefore !== null
      await reseal(appId, openId, found, { current, previous: isDue ? unseal(appId, openId, sealedBefore) : null })
      return current?.text ?? null
    },

    async forDecrypting(appId, openId) {
      const stored = await store.get(keyOf(appId, openId))
      const record = parseRecord(stored ?? spareRecord)
      const unsealOrSpare = (sealed: SealedKey | null | undefined, isUsable: boolean) =>
        (sealed && isUsable ? unseal(appId, openId, sealed) : null) ?? openSpare()
      const isOverlap = record !== null && clock.now() - record.current.at < OVERLAP
      const current = unsealOrSpare(record?.current, record !== null && isFresh(record.current))
      const previous = unsealOrSpare(record?.previous, isOverlap)
      if (stored !== undefined && record) await reseal(appId, openId, { stored, record }, { current, previous })
      return [current, previous].flatMap((opened) => opened?.text ?? [])
    },

    // The record can change while its key stays: it is sealed again, or a login got the same key.
    replace: (appId, openId, oldKey, newKey) =>
      untilWritten('a session_key record', async () => {
        const found = await read(appId, openId)
        if (!found || open(appId, openId, found.record.current) !== oldKey) return false
        const current = seal(appId, openId, newKey, found.record.current.at)
        const text = JSON.stringify({ current, previous: null } satisfies KeyRecord)
        return (await store.compareAndSet(keyOf(appId, openId), found.stored, text, ttl)) || undefined
      }),

    async forget(appId, openId) {
      await store.delete(keyOf(appId, openId))
    }
  }
}

/** Adds a key to the record. A key that is obtained again only becomes younger. */
function merge(record: KeyRecord, added: SealedKey, isSameKey: boolean): KeyRecord {
  const { current, previous } = record
  if (isSameKey) return added.at > current.at ? { current: added, previous } : record
  if (added.at >= current.at) return { current: added, previous: current }
  return previous && previous.at >= added.at ? record : { current, previous: added }
}

/** Null for text that is not a valid record. */
function parseRecord(text: string): KeyRecord | null {
  try {
    const { current, previous } = JSON.parse(text) as Record<string, unknown>
    return isSealedKey(current) ? { current, previous: isSealedKey(previous) ? previous : null } : null
  } catch {
    return null
  }
}

function isSealedKey(value: unknown): value is SealedKey {
  if (typeof value !== 'object' || value === null) return false
  const { key, at } = value as Partial<Record<keyof SealedKey, unknown>>
  return typeof key === 'string' && typeof at === 'number'
}
