/** Writes requests to the socket of a connection. */
import type { Socket } from 'node:net'
import type { StreamedBody } from '../../http/body/streamed-body.ts'
import { ONE_WRITE_BYTES } from '../../http/body/write-body.ts'
import { readAfterFailedWrites } from './failed-writes.ts'
import type { UpstreamRequest } from './messages.ts'
import { formatRequestHead } from './request-head.ts'
import { Upload } from './upload.ts'

export interface WriterEvents {
  /** Bytes of a streamed body were handed to the socket, or its end. */
  readonly onProgress: () => void
  readonly onBodyError: (error: Error) => void
}

export class RequestWriter {
  readonly #socket: Socket
  readonly #hostName: string
  readonly #events: WriterEvents
  #upload: Upload | null = null
  #hasUploaded = false

  /** @param hostName Host of requests that name no other. */
  constructor(socket: Socket, hostName: string, events: WriterEvents) {
    this.#socket = socket
    this.#hostName = hostName
    this.#events = events
  }

  /** A streamed body has not ended. */
  get isUploading(): boolean {
    return this.#upload !== null
  }

  /** The target reads slower than the client sends. */
  get isStalled(): boolean {
    return this.#socket.writableNeedDrain
  }

  /** Throws for a head that must not be sent: nothing was written then. */
  write(request: UpstreamRequest, isUpgrade: boolean): void {
    const { body, bodyLength } = request
    const socket = this.#socket
    const head = formatRequestHead(request, this.#hostName, isUpgrade)
    if (body === null) socket.write(head, 'latin1')
    else if (!Buffer.isBuffer(body)) this.#startUpload(head, body, bodyLength < 0)
    else if (body.length <= ONE_WRITE_BYTES) socket.write(head + body.toString('latin1'), 'latin1')
    else {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
    }
  }

  /** Sends nothing more of a streamed body. */
  stop(): void {
    this.#upload?.stop()
    this.#upload = null
  }

  #startUpload(head: string, body: StreamedBody, isChunked: boolean): void {
    const socket = this.#socket
    const { onProgress, onBodyError: onError } = this.#events
    if (!this.#hasUploaded) readAfterFailedWrites(socket)
    this.#hasUploaded = true
    socket.cork()
    socket.write(head, 'latin1')
    const onEnd = () => {
      this.#upload = null
      onProgress()
    }
    this.#upload = new Upload({ socket, body, isChunked, onProgress, onEnd, onError })
    // The first bytes of the body have usually arrived with the head.
    setImmediate(() => socket.uncork())
  }
}
