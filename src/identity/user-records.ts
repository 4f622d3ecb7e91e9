/** The stored record of a user: one per account, under the key of its platform. While instances
 *  of 0.1.0 may run on the same store, every write also goes to the key that they use, and what
 *  they write there is taken over with the next change. */
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import type { UserStatus } from './principal.ts'
import { FOREVER, FORMER_TTL, type RecordKeys } from './record-keys.ts'

/** `epoch` counts how often all sessions of the user were ended; `phone` is sealed. */
export interface UserRecord {
  readonly id: string
  readonly status: UserStatus
  readonly epoch: number
  readonly unionid: string | null
  readonly phone: string | null
  readonly first_login: number
  readonly last_login: number
  /** True once the index by user id names this account; 0.1.0 had no index. */
  readonly indexed?: boolean
  /** When the user last revoked the authorization. */
  readonly revoked_at?: number
  /** Ids of the sessions of the latest logins, the newest last. */
  readonly sessions?: readonly string[]
}

/** As it was read, under both keys. */
export interface FoundUser {
  readonly record: UserRecord | null
  readonly text: string | undefined
  readonly formerText: string | undefined
}

export interface UserRecords {
  read(appId: string, openId: string): Promise<FoundUser>
  /** False when another login made the record first. */
  create(appId: string, openId: string, record: UserRecord): Promise<boolean>
  /** Reads, changes, and writes unless the record changed meanwhile; then again. Null when there
   *  is none.
   *  @param first As read before. */
  update(
    appId: string,
    openId: string,
    change: (record: UserRecord) => UserRecord | Promise<UserRecord>,
    first?: FoundUser
  ): Promise<UserRecord | null>
}

export interface UserRecordsDeps {
  readonly store: Pick<Store, 'get' | 'setIfAbsent' | 'compareAndSet'>
  readonly keys: Pick<RecordKeys, 'user'>
}

export function createUserRecords({ store, keys }: UserRecordsDeps): UserRecords {
  async function read(appId: string, openId: string): Promise<FoundUser> {
    const { key, former } = keys.user(appId, openId)
    const [text, formerText] = await Promise.all([store.get(key), former === null ? undefined : store.get(former)])
    return { text, formerText, record: merge(parse(text), text === formerText ? null : parse(formerText)) }
  }

  /** True when the key holds `text` afterwards. */
  async function put(key: string, before: string | undefined, text: string, ttl: number): Promise<boolean> {
    if (before === text) return true
    return before === undefined ? store.setIfAbsent(key, text, ttl) : store.compareAndSet(key, before, text, ttl)
  }

  function update(
    appId: string,
    openId: string,
    change: (record: UserRecord) => UserRecord | Promise<UserRecord>,
    first?: FoundUser
  ): Promise<UserRecord | null> {
    const { key, former } = keys.user(appId, openId)
    let known = first
    return untilWritten('a user record', async () => {
      const found = known ?? (await read(appId, openId))
      known = undefined
      if (found.record === null) return null
      const changed = await change(found.record)
      const text = JSON.stringify(changed)
      const written = await Promise.all([
        put(key, found.text, text, FOREVER),
        former === null || put(former, found.formerText, text, FORMER_TTL)
      ])
      return written.every(Boolean) ? changed : undefined
    })
  }

  return {
    read,
    update,

    async create(appId, openId, record) {
      const { key, former } = keys.user(appId, openId)
      const text = JSON.stringify(record)
      const own = store.setIfAbsent(key, text, FOREVER)
      if (former === null) return own
      // The former key decides, since an instance of 0.1.0 sees no other.
      const [isOwn, isFirst] = await Promise.all([own, store.setIfAbsent(former, text, FORMER_TTL)])
      if (isFirst && !isOwn) await update(appId, openId, (merged) => merged)
      return isFirst
    }
  }
}

/** Two records differ where 0.1.0 wrote one of them, or where a write reached one key only. The
 *  id under the former key is the one that every instance has seen. */
function merge(own: UserRecord | null, former: UserRecord | null): UserRecord | null {
  if (own === null || former === null) return own ?? former
  return {
    ...own,
    id: former.id,
    indexed: own.indexed === true && own.id === former.id,
    status: own.status === 'bound' ? 'bound' : former.status,
    epoch: Math.max(own.epoch, former.epoch),
    unionid: own.unionid ?? former.unionid,
    phone: former.phone ?? own.phone,
    first_login: Math.min(own.first_login, former.first_login),
    last_login: Math.max(own.last_login, former.last_login)
  }
}

function parse(text: string | undefined): UserRecord | null {
  return text === undefined ? null : (JSON.parse(text) as UserRecord)
}
