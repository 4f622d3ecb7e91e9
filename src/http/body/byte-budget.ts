/** Bounds the bytes that all held bodies of the process take together. */

export interface ByteBudget {
  open(): HeldBytes
}

/** The bytes of one body. */
export interface HeldBytes {
  /** False when there is no room for so many bytes of this body. */
  hold(size: number): boolean
  /** May be called more than once. */
  release(): void
}

export function createByteBudget(limit: number): ByteBudget {
  let total = 0
  return {
    open() {
      let held = 0
      return {
        hold(size) {
          if (total - held + size > limit) return false
          total += size - held
          held = size
          return true
        },
        release() {
          total -= held
          held = 0
        }
      }
    }
  }
}
