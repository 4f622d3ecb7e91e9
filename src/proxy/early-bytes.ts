/** Bytes that a client sends before its WebSocket handshake is answered. */
import type { Duplex } from 'node:stream'

/** Beyond this, reading stops until the upstream has answered. */
const MAX_EARLY_BYTES = 64 * 1024

export interface EarlyBytes {
  /** Stops reading and returns the bytes that arrived. */
  stop(): Buffer[]
}

/** Reads while the upstream decides: only a read shows that a client has disconnected. */
export function readEarly(socket: Duplex, head: Buffer): EarlyBytes {
  const chunks = head.length > 0 ? [head] : []
  let size = head.length
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > MAX_EARLY_BYTES) socket.pause()
  }
  const onEnd = () => socket.destroy()
  socket.on('data', onData)
  socket.on('end', onEnd)
  return {
    stop() {
      socket.off('data', onData)
      socket.off('end', onEnd)
      return chunks.splice(0)
    }
  }
}
