/** The users of each mini-program: one record per account (appid and openid), made by the first
 *  login. Accounts of one person share the user id where their unionid was known when they were
 *  made. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import type { Sealer } from '../crypto/sealer.ts'
import { StoreError } from '../errors.ts'
import type { Store } from '../store/port.ts'
import { type Account, createAccounts } from './accounts.ts'
import type { UserStatus } from './principal.ts'
import type { RecordKeys } from './record-keys.ts'
import { newSessionId } from './sessions.ts'
import { createUnions, type FoundUnion, idsOf } from './unions.ts'
import { createUserRecords, type FoundUser, type UserRecord } from './user-records.ts'

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
  /** When the user last revoked the authorization; null if never. A later login leaves it. */
  readonly revokedAt: number | null
  /** Ids of the sessions of the latest logins, the newest last; they may have ended. */
  readonly sessionIds: readonly string[]
}

export interface UserPhone {
  readonly phoneNumber: string
  readonly countryCode: string
}

export interface RecordedLogin {
  readonly user: User
  /** True for exactly one login of a person, however many first logins race. */
  readonly isNew: boolean
  /** Other user ids of the same person; the first one is given to accounts made from now on. */
  readonly linkedIds: readonly string[]
  /** True for the one login at which the user turned out to have other ids. */
  readonly isLinked: boolean
  /** For the session that this login begins. */
  readonly sessionId: string
}

export interface Users {
  /** Finds or makes the record and notes the login. Of any number of racing first logins
   *  exactly one gets `isNew`. A user whose unionid is known from another mini-program takes the id
   *  from there and is not new. */
  recordLogin(appId: string, openId: string, unionId: string | null, minEpoch?: number): Promise<RecordedLogin>
  find(appId: string, openId: string): Promise<User | null>
  /** Every account with the user id, also of mini-programs that are not configured any more. */
  accountsOf(id: string): Promise<readonly Account[]>
  /** Other user ids of the same person, as in {@link RecordedLogin}. */
  linkedIds(user: User): Promise<readonly string[]>
  /** Finds the user and raises the record's epoch to `minEpoch`: the store may have lost a
   *  write. */
  touch(appId: string, openId: string, minEpoch: number): Promise<User | null>
  /** Ends the sessions of every epoch below the returned one. Null for an unknown user.
   *  @param isRevoked The user revoked the authorization: the record notes the time. */
  endSessions(appId: string, openId: string, isRevoked?: boolean): Promise<User | null>
  /** Stores the number sealed and marks the user as bound. Null for an unknown user. */
  bindPhone(appId: string, openId: string, phone: UserPhone): Promise<User | null>
}

export interface UsersDeps {
  readonly store: Store
  readonly sealer: Sealer
  readonly clock: Pick<Clock, 'now'>
  readonly keys: RecordKeys
}

/** Sessions of one account whose ids are kept. */
const KEPT_SESSIONS = 10

export function createUsers({ store, sealer, clock, keys }: UsersDeps): Users {
  const records = createUserRecords({ store, keys })
  const unions = createUnions({ store, keys })
  const accounts = createAccounts({ store, keys })
  /** Binds a sealed phone number to its user, and is no key. */
  const contextOf = (appId: string, openId: string) => `user:${appId}:${openId}`

  function toUser(appId: string, openId: string, record: UserRecord): User {
    return {
      id: record.id,
      appId,
      openId,
      unionId: record.unionid,
      status: record.status,
      epoch: record.epoch,
      phone: openPhone(record.phone, contextOf(appId, openId)),
      firstLogin: record.first_login,
      lastLogin: record.last_login,
      revokedAt: record.revoked_at ?? null,
      sessionIds: record.sessions ?? []
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

  async function update(
    appId: string,
    openId: string,
    change: (record: UserRecord) => UserRecord,
    first?: FoundUser
  ): Promise<User | null> {
    const record = await records.update(
      appId,
      openId,
      async (found) => {
        if (found.indexed) return change(found)
        await accounts.add(found.id, { appId, openId }, false)
        return change({ ...found, indexed: true })
      },
      first
    )
    return record && toUser(appId, openId, record)
  }

  /** Null when another login made the record first. The index is written beside the record, so
   *  the record does not yet say that it is indexed. */
  async function create(
    account: Account & { readonly unionId: string | null; readonly epoch: number; readonly sessionId: string },
    foundUnion: FoundUnion | undefined
  ): Promise<RecordedLogin | null> {
    const { appId, openId, unionId, epoch, sessionId } = account
    const ownId = `u_${randomBytes(15).toString('base64url')}`
    const maker = `${appId}:${openId}`
    const union = unionId === null ? null : await unions.claim(appId, unionId, { id: ownId, maker }, foundUnion)
    const id = union?.id ?? ownId
    const now = clock.now()
    const record: UserRecord = {
      id,
      status: 'anonymous',
      epoch,
      unionid: unionId,
      phone: null,
      first_login: now,
      last_login: now,
      sessions: [sessionId]
    }
    const [isFirst] = await Promise.all([
      records.create(appId, openId, record),
      accounts.add(id, { appId, openId }, id === ownId)
    ])
    if (!isFirst) return null
    const isNew = union === null || union.maker === maker
    const linkedIds = others(union?.ids ?? [], id)
    return { user: toUser(appId, openId, record), isNew, linkedIds, isLinked: false, sessionId }
  }

  /** The id of a user stays when the unionid comes after the first login; accounts made later
   *  get the id of the union. */
  async function join(user: User, foundUnion: FoundUnion | undefined): Promise<Omit<RecordedLogin, 'sessionId'>> {
    const { id, appId, openId, unionId } = user
    if (unionId === null) return { user, isNew: false, linkedIds: [], isLinked: false }
    const { ids, isLinked } = await unions.join(appId, unionId, { id, maker: `${appId}:${openId}` }, foundUnion)
    return { user, isNew: false, linkedIds: others(ids, id), isLinked }
  }

  return {
    async recordLogin(appId, openId, unionId, minEpoch = 0) {
      const now = clock.now()
      const sessionId = newSessionId()
      const note = (record: UserRecord): UserRecord => {
        const phone = resealPhone(record.phone, contextOf(appId, openId))
        const epoch = Math.max(record.epoch, minEpoch)
        const sessions = [...(record.sessions ?? []), sessionId].slice(-KEPT_SESSIONS)
        return { ...record, epoch, unionid: unionId ?? record.unionid, phone, last_login: now, sessions }
      }
      // Both reads in parallel save a first login one round trip.
      const [found, foundUnion] = await Promise.all([
        records.read(appId, openId),
        unionId === null ? undefined : unions.find(appId, unionId)
      ])
      if (found.record === null) {
        const created = await create({ appId, openId, unionId, epoch: minEpoch, sessionId }, foundUnion)
        if (created !== null) return created
      }
      const user = await update(appId, openId, note, found.record === null ? undefined : found)
      if (user === null) throw new StoreError('the user record was removed during the call')
      return { ...(await join(user, found.record === null ? undefined : foundUnion)), sessionId }
    },

    async find(appId, openId) {
      const { record } = await records.read(appId, openId)
      return record && toUser(appId, openId, record)
    },

    accountsOf: (id) => accounts.of(id),

    async linkedIds({ id, appId, unionId }) {
      const union = unionId === null ? null : (await unions.find(appId, unionId)).record
      return union === null ? [] : others(idsOf(union), id)
    },

    touch: (appId, openId, minEpoch) =>
      update(appId, openId, (record) => (record.epoch < minEpoch ? { ...record, epoch: minEpoch } : record)),

    endSessions: (appId, openId, isRevoked = false) =>
      update(appId, openId, (record) => ({
        ...record,
        epoch: record.epoch + 1,
        ...(isRevoked ? { revoked_at: clock.now() } : {})
      })),

    bindPhone(appId, openId, phone) {
      const sealed = sealer.seal(`${phone.countryCode}\n${phone.phoneNumber}`, contextOf(appId, openId))
      return update(appId, openId, (record) => ({ ...record, status: 'bound', phone: sealed }))
    }
  }
}

const others = (ids: readonly string[], id: string) => ids.filter((one) => one !== id)
