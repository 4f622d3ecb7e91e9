/** Decides when the heads of streamed responses are written. */

/** Writes heads whose body has not arrived once the event loop has read everything available. A
 *  response that arrived completely leaves in one write. */
export interface Flusher {
  /** `flush` is called soon and must not throw. */
  add(waiting: { flush(): void }): void
}

export function createFlusher(): Flusher {
  let waiting: { flush(): void }[] = []
  const flush = () => {
    const exchanges = waiting
    waiting = []
    for (const exchange of exchanges) exchange.flush()
  }
  return {
    add(exchange) {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push(exchange)
    }
  }
}
