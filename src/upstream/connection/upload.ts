/** Sends the body of a request at the pace of the slower side. */
import type { Socket } from 'node:net'
import type { BodyReceiver, StreamedBody } from '../../http/body/streamed-body.ts'
import { writeBody } from '../../http/body/write-body.ts'

export interface UploadOptions {
  readonly socket: Socket
  readonly body: StreamedBody
  /** False: the head announced the length. */
  readonly isChunked: boolean
  /** Bytes were handed to the socket. */
  readonly onProgress: () => void
  readonly onEnd: () => void
  readonly onError: (error: Error) => void
}

export class Upload implements BodyReceiver {
  readonly #options: UploadOptions
  #isOver = false

  /** Starts after the current call: the body may fail at once. */
  constructor(options: UploadOptions) {
    this.#options = options
    process.nextTick(() => {
      if (this.#isOver) return
      options.socket.on('drain', this.#onDrain)
      options.body.start(this)
    })
  }

  /** Sends nothing more. */
  stop(): void {
    this.#isOver = true
    this.#options.socket.off('drain', this.#onDrain)
    this.#options.body.destroy()
  }

  onBodyData(chunk: Buffer, isBorrowed: boolean): void {
    const { socket, body, isChunked, onProgress } = this.#options
    if (socket.destroyed) return
    if (writeBody(socket, chunk, { isBorrowed, isChunked })) onProgress()
    else body.pause()
  }

  onBodyEnd(): void {
    const { socket, isChunked, onEnd } = this.#options
    this.stop()
    if (isChunked && !socket.destroyed) socket.write('0\r\n\r\n', 'latin1')
    onEnd()
  }

  onBodyError(error: Error): void {
    this.stop()
    this.#options.onError(error)
  }

  readonly #onDrain = (): void => {
    this.#options.onProgress()
    this.#options.body.resume()
  }
}
