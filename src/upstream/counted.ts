/** Values that several users share by key. */
export interface Counted<T> {
  /** Returns the value of the key, new or in use. Each call needs a `release`. */
  acquire(key: string, make: () => T): T
  /** Returns the value when its last user released it, else null. */
  release(key: string): T | null
  values(): T[]
}

export function createCounted<T>(): Counted<T> {
  const entries = new Map<string, { readonly value: T; users: number }>()
  return {
    acquire(key, make) {
      const entry = entries.get(key) ?? { value: make(), users: 0 }
      entry.users++
      entries.set(key, entry)
      return entry.value
    },
    release(key) {
      const entry = entries.get(key)
      if (entry === undefined || --entry.users > 0) return null
      entries.delete(key)
      return entry.value
    },
    values: () => [...entries.values()].map(({ value }) => value)
  }
}
