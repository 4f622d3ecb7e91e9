/** The accounts of a user id: an index beside the user records, and a search for those that
 *  0.1.0 made without one. */
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import { FOREVER, type RecordKeys } from './record-keys.ts'

export interface Account {
  readonly appId: string
  readonly openId: string
}

/** `isWhole` is false while accounts of 0.1.0 may be missing. */
interface AccountsRecord {
  readonly accounts: readonly Account[]
  readonly isWhole: boolean
}

export interface Accounts {
  /** @param isNewId Whether the id was made just now, so that no account of 0.1.0 has it. */
  add(userId: string, account: Account, isNewId: boolean): Promise<void>
  /** Every account with the id. The first call for an id of 0.1.0 reads all user records of
   *  0.1.0. */
  of(userId: string): Promise<readonly Account[]>
}

export interface AccountsDeps {
  readonly store: Pick<Store, 'get' | 'setIfAbsent' | 'compareAndSet' | 'scan'>
  readonly keys: Pick<RecordKeys, 'accounts'>
}

/** Records read at a time, few enough for requests not to wait for them. */
const PAGE = 200

export function createAccounts({ store, keys }: AccountsDeps): Accounts {
  let lastSearch: Promise<unknown> = Promise.resolve()

  function update(userId: string, change: (record: AccountsRecord | null) => AccountsRecord): Promise<AccountsRecord> {
    const key = keys.accounts(userId)
    return untilWritten('an index of accounts', async () => {
      const text = await store.get(key)
      const changed = change(text === undefined ? null : (JSON.parse(text) as AccountsRecord))
      const next = JSON.stringify(changed)
      if (next === text) return changed
      const isWritten =
        text === undefined
          ? await store.setIfAbsent(key, next, FOREVER)
          : await store.compareAndSet(key, text, next, FOREVER)
      return isWritten ? changed : undefined
    })
  }

  /** Accounts with the id under keys of the form `user:<appid>:<openid>`. */
  async function search(userId: string): Promise<Account[]> {
    const found: Account[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page = await store.scan('user:', cursor, PAGE)
      const accounts = page.keys.map(formerAccount).filter((account) => account !== null)
      const texts = await Promise.all(accounts.map(({ key }) => store.get(key)))
      accounts.forEach(({ appId, openId }, index) => {
        if (idIn(texts[index]) === userId) found.push({ appId, openId })
      })
      cursor = page.cursor
    }
    return found
  }

  /** One search at a time: each reads the whole store. */
  function searchInTurn(userId: string): Promise<Account[]> {
    const searched = lastSearch.then(() => search(userId))
    lastSearch = searched.catch(() => undefined)
    return searched
  }

  return {
    async add(userId, account, isNewId) {
      if (isNewId) {
        const first: AccountsRecord = { accounts: [account], isWhole: true }
        if (await store.setIfAbsent(keys.accounts(userId), JSON.stringify(first), FOREVER)) return
      }
      await update(userId, (record) => merge(record, [account], false))
    },

    async of(userId) {
      const text = await store.get(keys.accounts(userId))
      const known = text === undefined ? null : (JSON.parse(text) as AccountsRecord)
      if (known?.isWhole) return known.accounts
      const found = await searchInTurn(userId)
      if (known === null && found.length === 0) return []
      return (await update(userId, (record) => merge(record, found, true))).accounts
    }
  }
}

function merge(record: AccountsRecord | null, added: readonly Account[], isWhole: boolean): AccountsRecord {
  const known = record?.accounts ?? []
  const isKnown = ({ appId, openId }: Account) => known.some((one) => one.appId === appId && one.openId === openId)
  const accounts = [...known, ...added.filter((account) => !isKnown(account))]
  return { accounts, isWhole: isWhole || (record?.isWhole ?? false) }
}

function formerAccount(key: string): (Account & { readonly key: string }) | null {
  const [, appId, openId, ...rest] = key.split(':')
  return appId && openId && rest.length === 0 ? { key, appId, openId } : null
}

function idIn(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as { id?: unknown } | null)?.id
  } catch {
    return undefined
  }
}
