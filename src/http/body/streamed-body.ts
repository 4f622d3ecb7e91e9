/** A body that is sent on while it arrives. */
import { Readable } from 'node:stream'

export interface BodyReceiver {
  /** @param isBorrowed The chunk may be used until this method returns or, when it paused the body,
   *  until `resume`. A chunk that is not borrowed belongs to the receiver. */
  onBodyData(chunk: Buffer, isBorrowed: boolean): void
  onBodyEnd(): void
  /** Called at most once, and nothing after it. */
  onBodyError(error: Error): void
}

export interface StreamedBody {
  /** Hands over the body until its end. May call the receiver at once. */
  start(receiver: BodyReceiver): void
  pause(): void
  resume(): void
  /** Hands over nothing more. */
  destroy(): void
}

/** Lets consumers of streams read a body. A complete one stays a buffer. */
export function readable(body: StreamedBody | Buffer): Readable | Buffer {
  if (Buffer.isBuffer(body)) return body
  let hasStarted = false
  const stream: Readable = new Readable({
    read() {
      if (hasStarted) body.resume()
      else body.start(receiver)
      hasStarted = true
    },
    destroy(error, done) {
      body.destroy()
      done(error)
    }
  })
  const receiver: BodyReceiver = {
    onBodyData(chunk, isBorrowed) {
      if (!stream.push(isBorrowed ? Buffer.from(chunk) : chunk)) body.pause()
    },
    onBodyEnd: () => void stream.push(null),
    onBodyError: (error) => void stream.destroy(error)
  }
  return stream
}
