/** An accepted socket that reads into buffers which are used again. Node offers this only for
 *  sockets that it opens itself (docs/decisions/0016): a new socket takes over the handle of the
 *  accepted one. */
import { Socket, type SocketConstructorOpts } from 'node:net'
import { ReadBuffer, type ReadBuffers } from './body/read-buffer.ts'

/** Receives the bytes of a socket in place of its `data` event. */
export interface BytesReceiver {
  /** @param bytes Are overwritten by the next read. A read can follow once this method has returned
   *  and the socket is not paused.
   *  @param isOwn No read of another connection overwrites the bytes. */
  onBytes(bytes: Buffer, isOwn: boolean): void
  /** The bytes of the last call are in use until reading continues. */
  readonly isHolding: boolean
  /** The receiver expects more bytes of a body. */
  readonly isReading: boolean
}

export class BufferedSocket extends Socket {
  /** Null: the socket emits `data`. */
  receiver: BytesReceiver | null = null

  constructor(handle: object, buffers: ReadBuffers) {
    const buffer = new ReadBuffer(buffers)
    const onRead = (size: number, bytes: Uint8Array): boolean => this.#onRead(size, bytes as Buffer, buffer)
    // Options that Node's own servers use.
    const options = {
      handle,
      allowHalfOpen: true,
      onread: { buffer: () => buffer.next(), callback: onRead }
    }
    super(options as SocketConstructorOpts)
  }

  /** False: reading stops until `resume`. */
  #onRead(size: number, bytes: Buffer, buffer: ReadBuffer): boolean {
    const { receiver } = this
    if (receiver === null) {
      buffer.filled(size, false, false)
      return this.push(Buffer.from(bytes.subarray(0, size)))
    }
    receiver.onBytes(size === bytes.length ? bytes : bytes.subarray(0, size), buffer.isOwn)
    buffer.filled(size, receiver.isReading, receiver.isHolding)
    return !this.isPaused()
  }
}

/** Takes over the handle of a socket that was accepted just now. Returns null where this Node works
 *  in another way. */
export function toBufferedSocket(accepted: Socket, buffers: ReadBuffers): BufferedSocket | null {
  const owner: { _handle?: unknown } = accepted as unknown as { _handle?: unknown }
  const handle = owner._handle
  if (!isReadableHandle(handle) || accepted.bytesRead > 0) return null
  // Without a handle, `destroy` ends the object and not the connection.
  owner._handle = null
  accepted.destroy()
  return new BufferedSocket(handle, buffers)
}

function isReadableHandle(handle: unknown): handle is object {
  return typeof handle === 'object' && handle !== null && 'useUserBuffer' in handle && 'readStart' in handle
}
