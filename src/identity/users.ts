/** The users of each mini-program: one record per appid and openid, made by the first login. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { StoreError } from '../errors.ts'
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import type { UserStatus } from './principal.ts'

/** As stored. `epoch` counts how often all sessions of the user were ended; `phone` is sealed. */
interface UserRecord {
  readonly id: string
  readonly status: UserStatus
  readonly epoch: number
  readonly unionid: string | null
  readonly phone: string | null
  readonly first_login: number
  readonly last_login: number
}

/** `maker` is the appid and openid of the record for which the id was made. */
interface UnionRecord {
  readonly id: string
  readonly maker: string
}

export interface User {
  readonly id: string
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly status: UserStatus
  readonly epoch: number
  readonly phone: UserPhone | null
  readonly firstLogin: number
  readonly lastLogin: number
}

export interface UserPhone {
  readonly phoneNumber: string
  readonly countryCode: string
}

export interface RecordedLogin {
  readonly user: User
  /** True for exactly one login of a person, however many first logins race. */
  readonly isNew: boolean
}

export interface Users {
  /** Finds or makes the record and notes the login. Of any number of racing first logins
   *  exactly one gets `isNew`. A user whose unionid is known from another mini-program takes the id
   *  from there and is not new. */
  recordLogin(appId: string, openId: string, unionId: string | null, minEpoch?: number): Promise<RecordedLogin>
  find(appId: string, openId: string): Promise<User | null>
  /** Finds the user and raises the record's epoch to `minEpoch`: the store may have lost a
   *  write. */
  touch(appId: string, openId: string, minEpoch: number): Promise<User | null>
  /** Ends the sessions of every epoch below the returned one. Null for an unknown user. */
  endSessions(appId: string, openId: string): Promise<User | null>
  /** Stores the number sealed and marks the user as bound. Null for an unknown user. */
  bindPhone(appId: string, openId: string, phone: UserPhone): Promise<User | null>
}

/** Users do not expire, but a store record needs a TTL. */
const FOREVER = 100 * 365 * 24 * 3600 * 1000

export function createUsers({ store, sealer, clock }: { store: Store; sealer: Sealer; clock: Clock }): Users {
  const keyOf = (appId: string, openId: string) => `user:${appId}:${openId}`
  const unionKey = (unionId: string) => `union:${unionId}`

  function toUser(appId: string, openId: string, record: UserRecord): User {
    return {
      id: record.id,
      appId,
      openId,
      unionId: record.unionid,
      status: record.status,
      epoch: record.epoch,
      phone: openPhone(record.phone, keyOf(appId, openId)),
      firstLogin: record.first_login,
      lastLogin: record.last_login
    }
  }

  function openPhone(sealed: string | null, context: string): UserPhone | null {
    const opened = sealed === null ? null : sealer.open(sealed, context)
    if (!opened) return null
    const [countryCode = '', phoneNumber = ''] = opened.text.split('\n')
    return { countryCode, phoneNumber }
  }

  /** Seals a number of an older secret again at a login, so that the old secret can be retired. */
  function resealPhone(sealed: string | null, context: string): string | null {
    const opened = sealed === null ? null : sealer.open(sealed, context)
    return opened && !opened.isCurrent ? sealer.seal(opened.text, context) : sealed
  }

  /** Reads, changes and compare-and-sets a record until no other write interferes. Null when it
   *  is missing. `first` is a record that was read already. */
  async function update(
    appId: string,
    openId: string,
    change: (record: UserRecord) => UserRecord,
    first?: string | undefined
  ) {
    const key = keyOf(appId, openId)
    let known = first
    return untilWritten('a user record', async () => {
      const stored = known ?? (await store.get(key))
      known = undefined
      if (stored === undefined) return null
      const changed = change(JSON.parse(stored) as UserRecord)
      const text = JSON.stringify(changed)
      const isWritten = text === stored || (await store.compareAndSet(key, stored, text, FOREVER))
      return isWritten ? toUser(appId, openId, changed) : undefined
    })
  }

  /** Finds the id that all mini-programs of one Open Platform account share for a person,
   *  and whether it was made for this record. The store holds the answer, so that racing logins
   *  agree. */
  async function claimUnionId(
    unionId: string,
    id: string,
    maker: string,
    read?: string | undefined
  ): Promise<{ id: string; isMaker: boolean }> {
    const key = unionKey(unionId)
    const claim: UnionRecord = { id, maker }
    if (read === undefined && (await store.setIfAbsent(key, JSON.stringify(claim), FOREVER))) {
      return { id, isMaker: true }
    }
    const stored = read ?? (await store.get(key))
    if (stored === undefined) throw new StoreError('a unionid record vanished')
    const known = JSON.parse(stored) as UnionRecord
    return { id: known.id, isMaker: known.maker === maker }
  }

  async function create(
    { appId, openId, unionId }: { appId: string; openId: string; unionId: string | null },
    union: string | undefined,
    epoch: number
  ) {
    const ownId = `u_${randomBytes(15).toString('base64url')}`
    const key = keyOf(appId, openId)
    const { id, isMaker } =
      unionId === null ? { id: ownId, isMaker: true } : await claimUnionId(unionId, ownId, `${appId}:${openId}`, union)
    const now = clock.now()
    const record: UserRecord = {
      id,
      status: 'anonymous',
      epoch,
      unionid: unionId,
      phone: null,
      first_login: now,
      last_login: now
    }
    const isFirst = await store.setIfAbsent(key, JSON.stringify(record), FOREVER)
    return isFirst ? { user: toUser(appId, openId, record), isNew: isMaker } : null
  }

  return {
    async recordLogin(appId, openId, unionId, minEpoch = 0) {
      const now = clock.now()
      const note = (record: UserRecord): UserRecord => {
        const phone = resealPhone(record.phone, keyOf(appId, openId))
        const epoch = Math.max(record.epoch, minEpoch)
        return { ...record, epoch, unionid: unionId ?? record.unionid, phone, last_login: now }
      }
      // Both reads in parallel save a first login one round trip.
      const [stored, union] = await Promise.all([
        store.get(keyOf(appId, openId)),
        unionId === null ? undefined : store.get(unionKey(unionId))
      ])
      const known = stored === undefined ? null : await update(appId, openId, note, stored)
      if (!known) {
        const created = await create({ appId, openId, unionId }, union, minEpoch)
        if (created) return created
        // Another login of this user was faster.
        const user = await update(appId, openId, note)
        if (!user) throw new StoreError('a user record vanished')
        return { user, isNew: false }
      }
      // Either the account joined an Open Platform after its first login, or an earlier login
      // failed between the two records. The id stays, and later apps find it.
      if (unionId !== null && union === undefined) await claimUnionId(unionId, known.id, `${appId}:${openId}`)
      return { user: known, isNew: false }
    },

    async find(appId, openId) {
      const stored = await store.get(keyOf(appId, openId))
      return stored === undefined ? null : toUser(appId, openId, JSON.parse(stored) as UserRecord)
    },

    touch: (appId, openId, minEpoch) =>
      update(appId, openId, (record) => (record.epoch < minEpoch ? { ...record, epoch: minEpoch } : record)),

    endSessions: (appId, openId) => update(appId, openId, (record) => ({ ...record, epoch: record.epoch + 1 })),

    bindPhone(appId, openId, phone) {
      const sealed = sealer.seal(`${phone.countryCode}\n${phone.phoneNumber}`, keyOf(appId, openId))
      return update(appId, openId, (record) => ({ ...record, status: 'bound', phone: sealed }))
    }
  }
}
