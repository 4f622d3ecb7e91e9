/** Reading the beginning of a stream before it is decided what becomes of it. */
import { Readable } from 'node:stream'

export interface ReadAhead {
  /** The bytes that were read. */
  readonly head: Buffer
  /** The whole stream, `head` included, to be read on; null when there is no more than `head`. Destroying it destroys the
   *  source. */
  readonly rest: Readable | null
}

/** Reads until the end or until `isEnough`, which is given the size so far and the newest chunk. Rejects when the source
 *  fails. */
export async function readAhead(
  source: Readable,
  isEnough: (size: number, chunk: Buffer) => boolean
): Promise<ReadAhead> {
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
