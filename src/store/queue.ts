/** The durable queue of a store. Events wait in lanes: the events of one lane are handed out one
 *  at a time, in their order, and an event stays until it is done or buried. Delivery is at least
 *  once: an event whose lease ran out is handed out again. */

/** Every operation is atomic, settles within the store's deadline, and throws a StoreError when
 *  the backend fails. */
export interface DurableQueue {
  /** Adds an event at the end of its lane, and leases it at once when the lane is idle and
   *  `leaseMs` is not null. */
  enqueue(queue: string, event: NewEvent, options: EnqueueOptions): Promise<Enqueued>
  /** Leases the oldest event of up to `count` idle lanes, those that have waited longest first. */
  claim(queue: string, count: number, leaseMs: number): Promise<Claim[]>
  /** Removes a delivered event. */
  done(queue: string, claim: Claim): Promise<Settled>
  /** Ends the lease; the lane stays idle for `delayMs`. False when the lease was lost. */
  release(queue: string, claim: Claim, delayMs: number): Promise<boolean>
  /** Moves the event to the dead ones, of which the newest `keep` are kept. */
  bury(queue: string, claim: Claim, reason: string, keep: number): Promise<Settled>
  /** True while the key of an event is remembered. */
  isKnown(queue: string, key: string): Promise<boolean>
  /** Dead events after the id `after` ('' for the first), the oldest first. */
  dead(queue: string, after: string, count: number): Promise<DeadEvent[]>
  /** Puts a dead event back into its lane, before later ones. False without such an event. */
  revive(queue: string, id: string): Promise<boolean>
  depth(queue: string): Promise<QueueDepth>
}

export interface NewEvent {
  /** Known once for {@link EnqueueOptions.rememberMs}: a repeat is not added. */
  readonly key: string
  /** Holds no NUL. */
  readonly lane: string
  readonly value: string
}

export interface EnqueueOptions {
  /** Null: the event waits for a claim. */
  readonly leaseMs: number | null
  /** Time for which the key of an event is remembered. */
  readonly rememberMs: number
  /** Limits for the events that wait, dead ones not counted. */
  readonly maxEvents: number
  readonly maxBytes: number
}

export type Enqueued =
  /** `claim` is null without a lease, and while an earlier event of the lane waits or is being
   *  delivered; `isPaused` is true while that event waits for the end of its delay. */
  | { readonly outcome: 'added'; readonly id: string; readonly claim: Claim | null; readonly isPaused: boolean }
  | { readonly outcome: 'known' | 'full' }

/** `lost`: the lease had run out, and nothing was changed. `more`: the lane has another event,
 *  which is due now. */
export type Settled = 'lost' | 'empty' | 'more'

interface StoredEvent {
  /** Decimal, in the order of adding. */
  readonly id: string
  readonly lane: string
  readonly value: string
  /** Milliseconds since the epoch, by the clock of the store. */
  readonly enqueuedAt: number
}

export interface Claim extends StoredEvent {
  /** 1 for the first delivery. */
  readonly attempt: number
  /** Identifies the holder. */
  readonly lease: string
}

export interface DeadEvent extends StoredEvent {
  readonly diedAt: number
  readonly reason: string
}

export interface QueueDepth {
  readonly waiting: number
  readonly bytes: number
  readonly dead: number
}

/** A lane that is due later than this (milliseconds) was written by a clock that ran ahead: it is
 *  due now. Longer than every lease and every delay. */
export const FURTHEST_DUE_MS = 3_600_000

export function sizeOf({ lane, value }: Pick<NewEvent, 'lane' | 'value'>): number {
  return Buffer.byteLength(value) + Buffer.byteLength(lane)
}
