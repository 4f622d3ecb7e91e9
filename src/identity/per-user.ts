/** Maps users to values for the hot path: two nested look-ups cost less than building a joined
 *  key. */

export interface PerUser<V> {
  get(appId: string, openId: string): V | undefined
  set(appId: string, openId: string, value: V): void
  entries(): Iterable<readonly [appId: string, openId: string, value: V]>
  /** Drops the values for which `isOver` is true. */
  sweep(isOver: (value: V) => boolean): void
  readonly size: number
}

export function createPerUser<V>(): PerUser<V> {
  const apps = new Map<string, Map<string, V>>()
  let size = 0
  return {
    get: (appId, openId) => apps.get(appId)?.get(openId),
    set(appId, openId, value) {
      let users = apps.get(appId)
      if (!users) {
        users = new Map()
        apps.set(appId, users)
      }
      if (!users.has(openId)) size++
      users.set(openId, value)
    },
    *entries() {
      for (const [appId, users] of apps) for (const [openId, value] of users) yield [appId, openId, value] as const
    },
    sweep(isOver) {
      for (const [appId, users] of apps) {
        for (const [openId, value] of users) if (isOver(value) && users.delete(openId)) size--
        if (users.size === 0) apps.delete(appId)
      }
    },
    get size() {
      return size
    }
  }
}
