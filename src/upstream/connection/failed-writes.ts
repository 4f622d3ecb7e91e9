/** A server may answer and reset the connection while a body is still going up. Node closes a
 *  socket at the first failed write, with the answer unread. */
import type { Socket } from 'node:net'

/** Leaves a failed write pending: no further bytes are sent, and reading goes on to the end or the
 *  error that the kernel has behind the last bytes. Call once. */
export function readAfterFailedWrites(socket: Socket): void {
  const write = socket._write.bind(socket)
  socket._write = (chunk, encoding, callback) => write(chunk, encoding, unlessFailed(callback))
  const writev = socket._writev?.bind(socket)
  if (writev !== undefined) socket._writev = (chunks, callback) => writev(chunks, unlessFailed(callback))
}

type Callback = (error?: Error | null) => void

function unlessFailed(callback: Callback): Callback {
  return (error) => {
    if (!error) callback()
  }
}
