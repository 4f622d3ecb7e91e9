/** Items in the order in which they are due: a binary heap. Items that are due at the same time
 *  keep the order of adding. */

interface Entry<T> {
  readonly item: T
  readonly due: number
  readonly number: number
}

export interface DueOrder<T> {
  add(item: T, due: number): void
  /** Removes the first item and returns it with its time; null when none is due at `now`. */
  takeDue(now: number): { readonly item: T; readonly due: number } | null
}

export function createDueOrder<T>(): DueOrder<T> {
  const heap: Entry<T>[] = []
  let added = 0

  const isBefore = (a: Entry<T>, b: Entry<T>) => a.due < b.due || (a.due === b.due && a.number < b.number)

  function rise(entry: Entry<T>): void {
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]
      if (parent === undefined || !isBefore(entry, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = entry
  }

  /** Puts `entry` in the place of the first one, which is gone. */
  function sink(entry: Entry<T>): void {
    let index = 0
    for (;;) {
      const left = heap[2 * index + 1]
      const right = heap[2 * index + 2]
      if (left === undefined) break
      const isRight = right !== undefined && isBefore(right, left)
      const child = isRight ? right : left
      if (!isBefore(child, entry)) break
      heap[index] = child
      index = 2 * index + (isRight ? 2 : 1)
    }
    heap[index] = entry
  }

  return {
    add(item, due) {
      rise({ item, due, number: ++added })
    },
    takeDue(now) {
      const [first] = heap
      if (first === undefined || first.due > now) return null
      const last = heap.pop()
      if (last !== undefined && last !== first) sink(last)
      return first
    }
  }
}
