/** The WebSocket of the DevTools protocol: commands with answers, and events by session. */

export interface DevTools {
  /** @param sessionId That of a page; none for the browser. */
  send<T>(method: string, params?: object, sessionId?: string): Promise<T>
  onEvent(sessionId: string, listener: (method: string, params: object) => void): void
  close(): void
}

interface Message {
  readonly id?: number
  readonly result?: object
  readonly error?: { readonly message: string }
  readonly sessionId?: string
  readonly method?: string
  readonly params?: object
}

export async function connectDevTools(url: string): Promise<DevTools> {
  const socket = new WebSocket(url)
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true })
    socket.addEventListener('error', () => reject(new Error(`no connection to ${url}`)), { once: true })
  })
  const waiting = new Map<number, (message: Message) => void>()
  const listeners = new Map<string, (method: string, params: object) => void>()
  let last = 0
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(String(data)) as Message
    if (message.id !== undefined) {
      waiting.get(message.id)?.(message)
      waiting.delete(message.id)
    } else if (message.method !== undefined) {
      listeners.get(message.sessionId ?? '')?.(message.method, message.params ?? {})
    }
  })
  return {
    send: <T>(method: string, params: object = {}, sessionId?: string) =>
      new Promise<T>((resolve, reject) => {
        const id = ++last
        waiting.set(id, ({ result, error }) => {
          if (error) reject(new Error(`${method}: ${error.message}`))
          else resolve(result as T)
        })
        socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }))
      }),
    onEvent: (sessionId, listener) => void listeners.set(sessionId, listener),
    close: () => socket.close()
  }
}
