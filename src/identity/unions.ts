/** The user ids of one person, by the unionid that all mini-programs of one Open Platform
 *  account share. */
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import { FOREVER, FORMER_TTL, type RecordKeys } from './record-keys.ts'

/** `id` is given to the person's accounts that are made from now on. `maker` is the appid and
 *  openid of the account that it was made for. `linked` are the ids of accounts that were there
 *  before their unionid was known. */
interface UnionRecord {
  readonly id: string
  readonly maker: string
  readonly linked?: readonly string[]
}

export interface FoundUnion {
  readonly record: UnionRecord | null
  readonly text: string | undefined
  /** Absent in records that 0.1.0 has not written; it never changes one. */
  readonly formerText: string | undefined
}

export interface Union {
  readonly id: string
  readonly maker: string
  /** All ids of the person, the one for new accounts first. */
  readonly ids: readonly string[]
  /** Whether this call added an id to those of the person. */
  readonly isLinked: boolean
}

export interface Unions {
  find(appId: string, unionId: string): Promise<FoundUnion>
  /** The ids of the person; `id` becomes the first one where there is none. */
  claim(appId: string, unionId: string, claim: { id: string; maker: string }, first?: FoundUnion): Promise<Union>
  /** As `claim`, for an account that has its id: where the person has another one, `id` is
   *  linked to it. */
  join(appId: string, unionId: string, claim: { id: string; maker: string }, first?: FoundUnion): Promise<Union>
}

export interface UnionsDeps {
  readonly store: Pick<Store, 'get' | 'setIfAbsent' | 'compareAndSet'>
  readonly keys: Pick<RecordKeys, 'union'>
}

export function createUnions({ store, keys }: UnionsDeps): Unions {
  async function find(appId: string, unionId: string): Promise<FoundUnion> {
    const { key, former } = keys.union(appId, unionId)
    const [text, formerText] = await Promise.all([store.get(key), former === null ? undefined : store.get(former)])
    const [own, other] = [parse(text), parse(formerText)]
    // Two first logins may each have written one key. The former key decides: 0.1.0 sees no other.
    const record = other === null ? own : { ...own, ...other }
    return { record, text, formerText }
  }

  async function add(appId: string, unionId: string, text: string): Promise<boolean> {
    const { key, former } = keys.union(appId, unionId)
    const own = store.setIfAbsent(key, text, FOREVER)
    if (former === null) return own
    const written = await Promise.all([own, store.setIfAbsent(former, text, FORMER_TTL)])
    return written.every(Boolean)
  }

  async function replace(key: string, before: string | undefined, text: string): Promise<boolean> {
    if (before === text) return true
    return before === undefined
      ? store.setIfAbsent(key, text, FOREVER)
      : store.compareAndSet(key, before, text, FOREVER)
  }

  function ensure(
    appId: string,
    unionId: string,
    change: (record: UnionRecord | null) => UnionRecord,
    first: FoundUnion | undefined
  ): Promise<Union> {
    let known = first
    return untilWritten('a unionid record', async () => {
      const { record, text } = known ?? (await find(appId, unionId))
      known = undefined
      const changed = change(record)
      const next = JSON.stringify(changed)
      const isWritten =
        record === null ? await add(appId, unionId, next) : await replace(keys.union(appId, unionId).key, text, next)
      if (!isWritten) return undefined
      return {
        ...changed,
        ids: idsOf(changed),
        isLinked: record !== null && idsOf(changed).length > idsOf(record).length
      }
    })
  }

  return {
    find,
    claim: (appId, unionId, claim, first) => ensure(appId, unionId, (record) => record ?? claim, first),
    join: (appId, unionId, claim, first) =>
      ensure(
        appId,
        unionId,
        (record) => {
          if (record === null) return claim
          if (idsOf(record).includes(claim.id)) return record
          return { ...record, linked: [...(record.linked ?? []), claim.id] }
        },
        first
      )
  }
}

export function idsOf({ id, linked = [] }: Pick<UnionRecord, 'id' | 'linked'>): readonly string[] {
  return [id, ...linked]
}

function parse(text: string | undefined): UnionRecord | null {
  return text === undefined ? null : (JSON.parse(text) as UnionRecord)
}
