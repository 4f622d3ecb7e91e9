/** When the heads of streamed responses are written. */

/** Writes out, once the event loop has read all there was, the heads of those responses whose body has not come yet. A
 *  response that came whole leaves in one write instead. */
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
