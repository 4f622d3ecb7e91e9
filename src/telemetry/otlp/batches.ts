/** Collects items as bytes, and gives them on in batches. */
import type { Clock, Timer } from '../../clock.ts'

export interface Batch {
  /** A whole request. */
  readonly body: Buffer
  readonly items: number
}

export interface Batches {
  /** Adds one item. Never blocks.
   *  @param json An element of a list. */
  add(json: string): void
  /** Gives on the items so far. */
  flush(): void
}

export interface BatchesOptions {
  /** The request around the items: the text before and behind their list. */
  readonly envelope: readonly [before: string, behind: string]
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly onBatch: (batch: Batch) => void
}

/** Longest wait of an item (milliseconds), as in the SDKs of OpenTelemetry. */
const LONGEST_WAIT = 5_000
/** Bytes that end the wait early. */
const ROOM = 256 * 1024
/** Of one UTF-16 unit in UTF-8. */
const MAX_UNIT_BYTES = 3
const COMMA = 0x2c

export function createBatches({ envelope, clock, onBatch }: BatchesOptions): Batches {
  const before = Buffer.from(envelope[0])
  const behind = Buffer.from(envelope[1])
  /** Taken with the first item. */
  let room: Buffer | null = null
  let used = 0
  let items = 0
  let timer: Timer | null = null

  function flush(): void {
    if (timer !== null) clock.clearTimeout(timer)
    timer = null
    if (room === null || items === 0) return
    // Without the last comma.
    const batch = { body: Buffer.concat([before, room.subarray(0, used - 1), behind]), items }
    used = 0
    items = 0
    onBatch(batch)
  }

  return {
    flush,
    add(json) {
      const mostBytes = json.length * MAX_UNIT_BYTES + 1
      if (mostBytes > ROOM) return
      if (mostBytes > ROOM - used) flush()
      room ??= Buffer.allocUnsafeSlow(ROOM)
      used += room.write(json, used)
      room[used++] = COMMA
      items++
      if (timer !== null) return
      timer = clock.setTimeout(flush, LONGEST_WAIT)
      timer.unref()
    }
  }
}
