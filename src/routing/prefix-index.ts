/** Finds the longest of many paths that is a prefix on a segment boundary. */

export interface PrefixIndex<T> {
  /** The entry of the longest prefix of `path`; undefined without one. */
  find(path: string): T | undefined
}

/** @param entries Paths without a trailing slash, except `/`, which is a prefix of everything. */
export function createPrefixIndex<T>(entries: ReadonlyMap<string, T>): PrefixIndex<T> {
  const root = entries.get('/')
  const lengths = [...new Set([...entries.keys()].map((path) => path.length))]
    .filter((length) => length > 1)
    .sort((a, b) => b - a)

  return {
    find(path) {
      for (const length of lengths) {
        if (path.length < length) continue
        if (path.length > length && path.charCodeAt(length) !== 0x2f) continue
        const entry = entries.get(path.length === length ? path : path.slice(0, length))
        if (entry !== undefined) return entry
      }
      return root
    }
  }
}

/** Groups the items by key, in their order. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}
