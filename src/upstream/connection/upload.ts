/** Sends the body of a request at the pace of the slower side. */
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'

export interface UploadOptions {
  readonly socket: Socket
  readonly body: Readable
  /** False: the head announced the length. */
  readonly isChunked: boolean
  /** Bytes were handed to the socket. */
  readonly onProgress: () => void
  readonly onEnd: () => void
  readonly onError: (error: Error) => void
}

export class Upload {
  readonly #options: UploadOptions

  constructor(options: UploadOptions) {
    this.#options = options
    const { body, socket } = options
    socket.on('drain', this.#onDrain)
    body.on('data', this.#onData)
    body.on('end', this.#onEnd)
    body.on('error', this.#onError)
  }

  /** Sends nothing more. */
  stop(): void {
    const { body, socket } = this.#options
    socket.off('drain', this.#onDrain)
    body.off('data', this.#onData)
    body.off('end', this.#onEnd)
    body.off('error', this.#onError)
    // The body belongs to its owner, who may still end it with an error.
    body.on('error', ignore)
    body.pause()
  }

  readonly #onDrain = (): void => {
    this.#options.onProgress()
    this.#options.body.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    const { socket, body, isChunked, onProgress } = this.#options
    if (socket.destroyed) return
    let canGoOn: boolean
    if (isChunked) {
      socket.cork()
      socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1')
      socket.write(chunk)
      canGoOn = socket.write('\r\n', 'latin1')
      socket.uncork()
    } else canGoOn = socket.write(chunk)
    // A chunk as large as the socket's limit makes `write` return false even when the kernel took it.
    if (canGoOn || socket.writableLength === 0) onProgress()
    else body.pause()
  }

  readonly #onEnd = (): void => {
    const { socket, isChunked, onEnd } = this.#options
    this.stop()
    if (isChunked && !socket.destroyed) socket.write('0\r\n\r\n', 'latin1')
    onEnd()
  }

  readonly #onError = (error: Error): void => {
    this.stop()
    this.#options.onError(error)
  }
}

function ignore(): void {}
