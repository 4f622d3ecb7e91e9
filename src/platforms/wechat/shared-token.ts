/** The record through which instances share an access token, and the lock for fetching one.
 *  Nothing here throws: with a failing store there is no shared token. */
import type { Store } from '../../store/port.ts'
import type { Log } from '../../telemetry/log.ts'

export interface StoredToken {
  readonly token: string
  /** Milliseconds since the epoch. */
  readonly fetchedAt: number
  readonly expiresAt: number
}

export interface TokenSealer {
  seal(text: string, aad: string): string
  /** Null for text that this gateway did not seal for this record. */
  open(text: string, aad: string): string | null
}

/** One app's record during one flight. After its first failure the store is not asked again. */
export interface SharedToken {
  read(): Promise<StoredToken | null>
  write(token: StoredToken, ttl: number): Promise<void>
  /** Removes the record while it still holds this token. */
  clear(token: string): Promise<void>
  /** True when the caller may fetch, with the lock or without a working store. */
  lock(owner: string, ttl: number): Promise<boolean>
  unlock(owner: string): Promise<void>
}

export function createSharedToken(options: {
  store: Store
  log: Log
  timeout: number
  base: string
  sealToken?: TokenSealer
}): { open(appId: string): SharedToken } {
  const { store, log, sealToken, base } = options
  const patience = Math.max(50, Math.floor(options.timeout / 5))

  return {
    open(appId) {
      const key = `wechat:access-token:${appId}`
      const lockKey = `wechat:access-token-lock:${appId}`
      // Binds the token to its app and API base, so that a token of the sandbox is never sent to
      // WeChat.
      const aad = `access-token|${base}|${appId}`
      let isAway = sealToken === undefined

      async function attempt<T>(operation: () => Promise<T>, otherwise: T): Promise<T> {
        if (isAway) return otherwise
        try {
          return await impatient(operation(), patience)
        } catch {
          isAway = true
          log.warn({ appid: appId }, 'the store does not answer; the access token stays in this process')
          return otherwise
        }
      }

      function decode(record: string | undefined): StoredToken | null {
        const text = record === undefined ? null : (sealToken?.open(record, aad) ?? null)
        return text === null ? null : parseToken(text)
      }

      return {
        async read() {
          return decode(await attempt(() => store.get(key), undefined))
        },
        async write(token, ttl) {
          if (!sealToken) return
          const record = sealToken.seal(JSON.stringify(token), aad)
          await attempt(() => store.set(key, record, Math.max(1, Math.floor(ttl))), undefined)
        },
        async clear(token) {
          const record = await attempt(() => store.get(key), undefined)
          if (record === undefined || decode(record)?.token !== token) return
          await attempt(() => store.compareAndSet(key, record, '-', 1), false)
        },
        lock: (owner, ttl) => attempt(() => store.setIfAbsent(lockKey, owner, ttl), true),
        async unlock(owner) {
          const isOurs = await attempt(() => store.compareAndSet(lockKey, owner, '-', 1000), false)
          if (isOurs) await attempt(() => store.delete(lockKey), false)
        }
      }
    }
  }
}

function parseToken(text: string): StoredToken | null {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return null
    const { token, fetchedAt, expiresAt } = value as Record<string, unknown>
    if (typeof token !== 'string' || typeof fetchedAt !== 'number' || typeof expiresAt !== 'number') return null
    return { token, fetchedAt, expiresAt }
  } catch {
    return null
  }
}

function impatient<T>(operation: Promise<T>, milliseconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('too slow')), milliseconds)
    operation.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
