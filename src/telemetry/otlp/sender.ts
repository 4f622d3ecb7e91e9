/** Sends the batches of one signal to the collector, one after the other. While the collector is
 *  away, slow or overloaded, batches are dropped: each after some tries, the newest when the queue
 *  is full. */
import type { Dispatcher } from 'undici'
import type { Clock, Timer } from '../../clock.ts'
import type { Batch } from './batches.ts'

export type Signal = 'traces' | 'metrics' | 'logs'

/** `failed`: the collector refused the batch, or could not be reached often enough. `full`: no room
 *  in the queue. `rejected`: the collector took the batch without these items. */
export type Loss = 'failed' | 'full' | 'rejected' | 'stopped'

export interface SenderEvents {
  exported(items: number): void
  lost(items: number, loss: Loss): void
  /** A try to send failed.
   *  @param cause A status, or a word. */
  tryFailed(cause: string): void
}

export interface SenderOptions {
  readonly pool: Dispatcher
  readonly path: string
  readonly headers: () => Readonly<Record<string, string>>
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly random: () => number
  readonly events: SenderEvents
}

export interface Sender {
  send(batch: Batch): void
  /** Nothing waits or is under way. */
  readonly isIdle: boolean
  /** Resolves when the queue is empty. */
  idle(): Promise<void>
  /** Gives up what is left. */
  stop(): void
}

/** Bytes that wait for the collector. */
const MAX_WAITING = 8 * 1024 * 1024
/** For one try, from the connection to the last byte (milliseconds), as in the SDKs. */
const DEADLINE = 10_000
const MAX_TRIES = 5
/** Pauses between tries (milliseconds). */
const FIRST_PAUSE = 1_000
const LONGEST_PAUSE = 30_000
/** Of an answer; a longer one is not read. */
const MAX_ANSWER_BYTES = 64 * 1024
/** All other failures must not be repeated (OTLP specification, "Failures"). */
const REPEATABLE: ReadonlySet<number> = new Set([429, 502, 503, 504])

type Outcome =
  | { readonly kind: 'taken'; readonly rejected: number }
  | { readonly kind: 'refused'; readonly cause: string }
  | { readonly kind: 'again'; readonly cause: string; readonly retryAfterMs: number }

export function createSender({ pool, path, headers, clock, random, events }: SenderOptions): Sender {
  const queue: Batch[] = []
  const waiters: (() => void)[] = []
  let waitingBytes = 0
  let isSending = false
  let isStopped = false
  let pause: Timer | null = null
  let abort: AbortController | null = null

  async function ask(batch: Batch): Promise<Outcome> {
    const controller = new AbortController()
    abort = controller
    const deadline = clock.setTimeout(() => controller.abort(new Error('timeout')), DEADLINE)
    deadline.unref()
    try {
      const request = { method: 'POST' as const, path, headers: headers(), body: batch.body, signal: controller.signal }
      const answer = await pool.request(request)
      // The status decides: a batch that was taken is not sent again for a body that breaks off.
      const text = await readText(answer.body).catch(() => '')
      if (answer.statusCode >= 200 && answer.statusCode <= 299) return { kind: 'taken', rejected: rejectedIn(text) }
      const cause = String(answer.statusCode)
      if (!REPEATABLE.has(answer.statusCode)) return { kind: 'refused', cause }
      return { kind: 'again', cause, retryAfterMs: retryAfter(answer.headers['retry-after']) }
    } catch (error) {
      return { kind: 'again', cause: causeOf(error, controller), retryAfterMs: 0 }
    } finally {
      clock.clearTimeout(deadline)
      abort = null
    }
  }

  /** @param tries Before this one. */
  async function deliver(batch: Batch, tries: number): Promise<void> {
    const outcome = await ask(batch)
    if (isStopped) return
    if (outcome.kind === 'taken') {
      const rejected = Math.min(outcome.rejected, batch.items)
      if (rejected > 0) events.lost(rejected, 'rejected')
      events.exported(batch.items - rejected)
      return
    }
    events.tryFailed(outcome.cause)
    if (outcome.kind === 'refused' || tries + 1 >= MAX_TRIES) return events.lost(batch.items, 'failed')
    const backOff = Math.min(FIRST_PAUSE * 2 ** tries, LONGEST_PAUSE) * (0.75 + random() / 2)
    await wait(Math.max(backOff, outcome.retryAfterMs))
    if (!isStopped) await deliver(batch, tries + 1)
  }

  function wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      pause = clock.setTimeout(resolve, ms)
      pause.unref()
    })
  }

  async function run(): Promise<void> {
    isSending = true
    for (let batch = queue[0]; batch !== undefined && !isStopped; batch = queue[0]) {
      await deliver(batch, 0)
      if (isStopped) return
      queue.shift()
      waitingBytes -= batch.body.length
    }
    isSending = false
    for (const resolve of waiters.splice(0)) resolve()
  }

  return {
    send(batch) {
      if (isStopped) return events.lost(batch.items, 'stopped')
      if (waitingBytes + batch.body.length > MAX_WAITING) return events.lost(batch.items, 'full')
      waitingBytes += batch.body.length
      queue.push(batch)
      if (!isSending) void run()
    },
    get isIdle() {
      return !isSending
    },
    idle: () => (isSending && !isStopped ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve()),
    stop() {
      isStopped = true
      abort?.abort(new Error('stopped'))
      if (pause !== null) clock.clearTimeout(pause)
      for (const { items } of queue.splice(0)) events.lost(items, 'stopped')
      for (const resolve of waiters.splice(0)) resolve()
    }
  }
}

/** Empty for an answer that is too long. Leaving the loop closes its connection. */
async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) return ''
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Items that the collector did not take, from `partialSuccess`. */
function rejectedIn(text: string): number {
  try {
    const { partialSuccess = {} } = JSON.parse(text) as { partialSuccess?: Readonly<Record<string, unknown>> }
    const { rejectedSpans, rejectedDataPoints, rejectedLogRecords } = partialSuccess
    const rejected = Number(rejectedSpans ?? rejectedDataPoints ?? rejectedLogRecords ?? 0)
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0
  } catch {
    return 0
  }
}

/** Seconds, or a date (RFC 9110, section 10.2.3). At most {@link LONGEST_PAUSE}. */
function retryAfter(value: string | string[] | undefined): number {
  if (typeof value !== 'string') return 0
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now()
  return ms > 0 ? Math.min(ms, LONGEST_PAUSE) : 0
}

/** A word without an address. */
function causeOf(error: unknown, { signal }: AbortController): string {
  if (signal.aborted && signal.reason instanceof Error) return signal.reason.message
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'connection'
}
