/** Reads the start of a body before its use is decided. */
import { Readable } from 'node:stream'

export interface ReadAhead {
  /** The bytes that were read. */
  readonly head: Buffer
  /** The whole stream including `head`, to be read further; null when `head` is all of it.
   *  Destroying it destroys the source. */
  readonly rest: Readable | null
}

/** Reads to the end or until `isEnough`, which receives the size so far and the newest chunk.
 *  Rejects when the source fails. */
export async function readAhead(
  source: Readable | Buffer,
  isEnough: (size: number, chunk: Buffer) => boolean
): Promise<ReadAhead> {
  if (Buffer.isBuffer(source)) {
    isEnough(source.length, source)
    return { head: source, rest: null }
  }
  const iterator: AsyncIterator<Buffer> = source[Symbol.asyncIterator]()
  const chunks: Buffer[] = []
  let size = 0
  for (;;) {
    const next = await iterator.next()
    if (next.done) return { head: Buffer.concat(chunks), rest: null }
    chunks.push(next.value)
    size += next.value.length
    if (isEnough(size, next.value)) break
  }
  const head = Buffer.concat(chunks)
  const rest = Readable.from(readOn(head, iterator), { objectMode: false })
  rest.once('close', () => source.destroy())
  return { head, rest }
}

async function* readOn(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head
  for (;;) {
    const next = await iterator.next()
    if (next.done) return
    yield next.value
  }
}
