/** The event streams of GET /v1/status/events: one sample a second for all of them, and no work
 *  while none is open. */
import type { ServerResponse } from 'node:http'
import type { Clock, Timer } from '../../clock.ts'
import { ApiError } from '../../errors.ts'
import { type ProcessSample, sampleText, type Taken } from './sample.ts'

export interface StatusStreams {
  /** Sends the head, then a sample a second. Throws when there are too many streams, or while the
   *  gateway drains.
   *  @param isEntitled False once the caller may read no more. */
  open(
    res: Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'destroy' | 'once' | 'writableLength'>,
    isEntitled: () => boolean
  ): void
  /** Ends all streams: clients connect again. */
  endAll(): void
  readonly size: number
}

export interface StatusStreamsOptions {
  readonly clock: Clock
  /** One sample of each process. */
  samples(): Promise<readonly ProcessSample[]>
  isDraining(): boolean
  readonly log: { error(fields: object, text: string): void }
}

const MAX_STREAMS = 32
const INTERVAL_MS = 1_000
/** A client that reads so slowly is disconnected. */
const MAX_UNREAD_BYTES = 256 * 1024

const FULL = new ApiError('overloaded', `The gateway serves ${MAX_STREAMS} event streams already. Close a console.`, {
  retryAfter: 10
})
const DRAINING = new ApiError('overloaded', 'The gateway drains and opens no further event stream.', { retryAfter: 10 })

const HEAD = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // nginx would hold the events back.
  'x-accel-buffering': 'no'
}

type Stream = Parameters<StatusStreams['open']>[0]

export function createStatusStreams({ clock, samples, isDraining, log }: StatusStreamsOptions): StatusStreams {
  const streams = new Map<Stream, () => boolean>()
  let timer: Timer | undefined
  let before: Taken | null = null
  let isReading = false

  async function take(): Promise<Taken> {
    return { samples: await samples(), now: clock.now(), monotonic: clock.monotonic() }
  }

  function schedule(): void {
    clock.clearTimeout(timer)
    timer = clock.setTimeout(() => void tick(), INTERVAL_MS)
    timer.unref()
  }

  async function tick(): Promise<void> {
    if (isReading) return
    isReading = true
    try {
      dropEnded()
      if (streams.size === 0) return
      const taken = await take()
      if (before !== null) send(sampleText(before, taken))
      before = taken
    } catch (error) {
      log.error({ err: error }, 'a sample of the event stream could not be taken')
      endAll()
    } finally {
      isReading = false
      if (streams.size > 0) schedule()
      else before = null
    }
  }

  function dropEnded(): void {
    const isOver = isDraining()
    for (const [res, isEntitled] of streams) {
      if (isOver || !isEntitled()) remove(res).end()
      else if (res.writableLength > MAX_UNREAD_BYTES) remove(res).destroy()
    }
  }

  function send(text: string): void {
    for (const res of streams.keys()) res.write(text)
  }

  function remove(res: Stream): Stream {
    streams.delete(res)
    if (streams.size === 0) clock.clearTimeout(timer)
    return res
  }

  function endAll(): void {
    for (const res of [...streams.keys()]) remove(res).end()
  }

  return {
    open(res, isEntitled) {
      if (isDraining()) throw DRAINING
      if (streams.size >= MAX_STREAMS) throw FULL
      res.once('close', () => remove(res))
      res.writeHead(200, HEAD)
      res.write('retry: 2000\n\n')
      streams.set(res, isEntitled)
      if (streams.size > 1) return
      before = null
      void tick()
    },
    endAll,
    get size() {
      return streams.size
    }
  }
}
