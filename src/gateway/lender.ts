/** Reload by difference: a generation borrows its parts and gets the previous one's part when
 *  everything that the part depends on is equal. */

export interface Borrower {
  /** The part called `name` for these dependencies: that of an earlier generation, or a new
   *  one.
   *  @param dependsOn Borrowed parts are compared by identity, everything else as JSON.
   *  @param close Called when the last generation that borrowed the part has released it. */
  borrow<T extends object>(
    name: string,
    dependsOn: readonly unknown[],
    make: () => T | Promise<T>,
    close?: (part: T) => void | Promise<void>
  ): Promise<T>
  /** Releases every part, the last one first. */
  release(): Promise<void>
}

interface Loan {
  readonly key: string
  readonly part: object
  readonly close: () => void | Promise<void>
  users: number
}

export function createLender(): { open(): Borrower } {
  const loans = new Map<string, Loan>()
  const ids = new WeakMap<object, number>()
  let nextId = 0

  function keyOf(name: string, dependsOn: readonly unknown[]): string {
    const texts = dependsOn.map((value) => {
      const id = typeof value === 'object' && value !== null ? ids.get(value) : undefined
      return id === undefined ? JSON.stringify(value) : `part ${id}`
    })
    return [name, ...texts].join('\n')
  }

  return {
    open() {
      const borrowed: Loan[] = []
      return {
        async borrow(name, dependsOn, make, close = () => {}) {
          const key = keyOf(name, dependsOn)
          let loan = loans.get(key)
          if (loan === undefined) {
            const part = await make()
            ids.set(part, nextId++)
            loan = { key, part, close: () => close(part), users: 0 }
            loans.set(key, loan)
          }
          loan.users++
          borrowed.push(loan)
          return loan.part as Awaited<ReturnType<typeof make>>
        },
        async release() {
          for (const loan of borrowed.splice(0).reverse()) {
            if (--loan.users > 0) continue
            loans.delete(loan.key)
            await loan.close()
          }
        }
      }
    }
  }
}
