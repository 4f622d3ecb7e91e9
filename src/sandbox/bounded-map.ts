/** A Map with a limit: it drops its oldest entries. */

const LIMIT = 200_000

export function createBoundedMap<K, V>(limit: number = LIMIT): Map<K, V> {
  return new BoundedMap<K, V>(limit)
}

class BoundedMap<K, V> extends Map<K, V> {
  readonly #limit: number

  constructor(limit: number) {
    super()
    this.#limit = limit
  }

  override set(key: K, value: V): this {
    super.set(key, value)
    if (this.size > this.#limit) {
      const oldest = this.keys().next()
      if (!oldest.done) this.delete(oldest.value)
    }
    return this
  }
}
