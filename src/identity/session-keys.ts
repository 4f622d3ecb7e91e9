/** Keeps session_keys. Between WeChat's answer and its use only this module sees a key in clear. */
import type { Clock } from '../clock.ts'
import type { Opened, Sealer } from '../crypto/sealer.ts'
import { deleteIfUnchanged, untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import type { RecordKeys } from './record-keys.ts'

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

/** The content of both keys: that of this version first, then that of 0.1.0. */
interface FoundKeys {
  readonly record: KeyRecord | null
  readonly texts: SeenKeys
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
  /** The stored record of the user, for `forget`. */
  seen(appId: string, openId: string): Promise<SeenKeys>
  /** Removes the record that `seen` returned. A key that a login stored meanwhile stays. */
  forget(seen: SeenKeys): Promise<void>
}

/** Stored texts by their keys. */
export type SeenKeys = readonly { readonly key: string; readonly text: string | undefined }[]

export interface SessionKeysOptions {
  readonly store: Pick<Store, 'get' | 'setIfAbsent' | 'compareAndSet'>
  readonly sealer: Sealer
  readonly clock: Pick<Clock, 'now'>
  readonly keys: Pick<RecordKeys, 'sessionKey'>
  /** Milliseconds. */
  readonly sessionKeyTtl: number
}

export function createSessionKeys({ store, sealer, clock, keys, sessionKeyTtl }: SessionKeysOptions): SessionKeys {
  /** A spare record is read and opened for a user without a key, so that both cases cost the
   *  same. */
  const spare = { key: sealer.seal(SPARE, SPARE), at: 0 }
  const spareRecord = JSON.stringify({ current: spare, previous: spare } satisfies KeyRecord)
  const openSpare = () => {
    sealer.open(spare.key, SPARE)
    return null
  }

  const contextOf = (appId: string, openId: string, at: number) => `session_key:1:${appId}:${openId}:${at}`
  const ttl = sessionKeyTtl + OVERLAP

  async function seen(appId: string, openId: string) {
    const { key, former } = keys.sessionKey(appId, openId)
    const own = store.get(key).then((text) => ({ key, text }))
    if (former === null) return [await own]
    return Promise.all([own, store.get(former).then((text) => ({ key: former, text }))])
  }

  /** The newer one of the records under both keys: 0.1.0 may have written after this version
   *  did. */
  async function read(appId: string, openId: string): Promise<FoundKeys> {
    const texts = await seen(appId, openId)
    const records = texts.map(({ text }) => parseRecord(text))
    const newest = Math.max(...records.map((record) => record?.current.at ?? Number.NEGATIVE_INFINITY))
    const record = records.find((one) => one !== null && one.current.at === newest) ?? null
    return { record, texts }
  }

  /** Writes under the key of this version and removes the record of 0.1.0. False when the record
   *  changed meanwhile. */
  async function write({ texts: [own, former] }: FoundKeys, record: KeyRecord): Promise<boolean> {
    if (own === undefined) return false
    const text = JSON.stringify(record)
    const isWritten =
      own.text === undefined
        ? await store.setIfAbsent(own.key, text, ttl)
        : own.text === text || (await store.compareAndSet(own.key, own.text, text, ttl))
    if (isWritten && former?.text !== undefined) await deleteIfUnchanged(store, former.key, former.text)
    return isWritten
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

  /** Seals a key of an older secret again on use, so that the old secret can be retired, and moves
   *  a record of 0.1.0 to its new key.
   *  @param opened The result for each of the record's two keys; null for a key that was not
   *  used. */
  async function renew(
    appId: string,
    openId: string,
    found: FoundKeys & { readonly record: KeyRecord },
    opened: { current: Opened | null; previous: Opened | null }
  ): Promise<void> {
    const { record, texts } = found
    const isOld = (one: Opened | null) => one !== null && !one.isCurrent
    const isFormer = texts[1]?.text !== undefined
    if (!isOld(opened.current) && !isOld(opened.previous) && !isFormer) return
    const resealed = <T extends SealedKey | null>(sealed: T, one: Opened | null) =>
      sealed && one && isOld(one) ? seal(appId, openId, one.text, sealed.at) : sealed
    await write(found, {
      current: resealed(record.current, opened.current),
      previous: resealed(record.previous, opened.previous)
    })
  }

  return {
    async save(appId, openId, sessionKey, exchangedAt) {
      const added = seal(appId, openId, sessionKey, exchangedAt)
      const alone: KeyRecord = { current: added, previous: null }
      await untilWritten('a session_key record', async () => {
        const found = await read(appId, openId)
        // A key that cannot be opened counts as missing.
        const known = found.record && open(appId, openId, found.record.current)
        const record = found.record && known ? merge(found.record, added, known === sessionKey) : alone
        return (await write(found, record)) || undefined
      })
    },

    async current(appId, openId) {
      const { record, texts } = await read(appId, openId)
      if (!record || !isFresh(record.current)) return null
      const current = unseal(appId, openId, record.current)
      const isDue = current !== null && !current.isCurrent && record.previous !== null
      const previous = isDue && record.previous ? unseal(appId, openId, record.previous) : null
      await renew(appId, openId, { record, texts }, { current, previous })
      return current?.text ?? null
    },

    async forDecrypting(appId, openId) {
      const { record: found, texts } = await read(appId, openId)
      const isMissing = texts.every(({ text }) => text === undefined)
      const record = isMissing ? parseRecord(spareRecord) : found
      const unsealOrSpare = (sealed: SealedKey | null | undefined, isUsable: boolean) =>
        (sealed && isUsable ? unseal(appId, openId, sealed) : null) ?? openSpare()
      const isOverlap = record !== null && clock.now() - record.current.at < OVERLAP
      const current = unsealOrSpare(record?.current, record !== null && isFresh(record.current))
      const previous = unsealOrSpare(record?.previous, isOverlap)
      if (found) await renew(appId, openId, { record: found, texts }, { current, previous })
      return [current, previous].flatMap((opened) => opened?.text ?? [])
    },

    // The record can change while its key stays: it is sealed again, or a login got the same key.
    replace: (appId, openId, oldKey, newKey) =>
      untilWritten('a session_key record', async () => {
        const found = await read(appId, openId)
        if (!found.record || open(appId, openId, found.record.current) !== oldKey) return false
        const current = seal(appId, openId, newKey, found.record.current.at)
        return (await write(found, { current, previous: null })) || undefined
      }),

    seen,

    async forget(records) {
      await Promise.all(
        records.map(({ key, text }) => (text === undefined ? undefined : deleteIfUnchanged(store, key, text)))
      )
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

/** Null for any text that is no record. */
function parseRecord(text: string | undefined): KeyRecord | null {
  if (text === undefined) return null
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
