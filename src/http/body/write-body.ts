/** Writes parts of a body to a socket: an answer to its client, an upload to its target. */
import type { Socket } from 'node:net'

/** Bodies up to this size are sent in one write with their head. */
export const ONE_WRITE_BYTES = 16 * 1024

export interface WrittenPart {
  /** The chunk is used again after a result of true, or after `drain`. */
  readonly isBorrowed: boolean
  readonly isChunked: boolean
}

/** Writes a part of the body behind the head. True: nothing waits for the reader. */
export function writeBody(socket: Socket, chunk: Buffer, { isBorrowed, isChunked }: WrittenPart): boolean {
  // A write of this size that the kernel does not take whole is followed by `drain`.
  const isKept = isBorrowed && (chunk.length < socket.writableHighWaterMark || 'encrypted' in socket)
  const bytes = isKept ? Buffer.from(chunk) : chunk
  if (!isChunked) socket.write(bytes)
  else {
    socket.cork()
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    socket.write(bytes)
    socket.write('\r\n', 'latin1')
    socket.uncork()
  }
  return socket.writableLength === 0 || !socket.writableNeedDrain
}
