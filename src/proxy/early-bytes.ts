/** Bytes that a client sends before its WebSocket handshake is answered. */
import type { Duplex } from 'node:stream'

/** A client that sends more is not read until the upstream has answered. */
const MAX_EARLY_BYTES = 64 * 1024

export interface EarlyBytes {
  /** Stops reading and gives what came. */
  stop(): Buffer[]
}

/** Reads while the upstream decides: only reading shows that a client has left. */
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
