/** Delivers the events of one durable queue to an upstream: at least once, the events of a lane in
 *  their order. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Timer } from '../clock.ts'
import type { Claim, DeadEvent, Settled } from '../store/queue.ts'
import { CallFailure, callUpstream } from './call.ts'
import type { DeliveryOptions } from './delivery-options.ts'
import { createOutcomes, type Delivered } from './delivery-outcomes.ts'
import { type Envelope, pauseAfter, readEnvelope, type Verdict, verdictOf } from './delivery-verdict.ts'

export type { Delivered } from './delivery-outcomes.ts'

/** Time for one call. WeChat waits five seconds for the answer to an event. */
const CALL_MS = 4_500
/** Longer than a call and the write after it: an event whose process died is handed out again. */
const LEASE_MS = 8_000
/** Interval between two looks for events that another process left behind. */
const POLL_MS = 1_000
const IDLE_POLL_MS = 5_000
/** Calls at the same time. */
const MAX_IN_FLIGHT = 256
/** Largest answer in bytes: a passive reply is small. */
const MAX_ANSWER_BYTES = 64 * 1024
/** Longer than the time for which a signed request is accepted, and than WeChat's repeats: the pay
 *  API sends its last one after 24 hours and 4 minutes. */
const REMEMBER_MS = 25 * 3_600_000
const MAX_DEAD = 10_000
/** Twice the window in which the platform accepts a signature. */
const NONCE_MS = 10 * 60_000

export interface DeliveryEvent extends Envelope {
  /** Equal for every delivery of one event. */
  readonly key: string
  readonly lane: string
}

/** A dead event as an operator sees it. */
export interface DeadDelivery extends Envelope, Pick<DeadEvent, 'id' | 'enqueuedAt' | 'diedAt' | 'reason'> {}

export interface Delivery {
  /** Resolves with the outcome of the first attempt, or with `kept` when the time for an answer is
   *  over. Throws a StoreError when the event could not be stored. */
  deliver(event: DeliveryEvent): Promise<Delivered>
  /** Runs `work` unless the event was taken within the last 25 hours, or `work` has run for it. */
  once(key: string, work: () => Promise<void>): Promise<void>
  /** Ties the nonce to the key for ten minutes. False when it is tied to another one. */
  claimNonce(nonce: string, key: string): Promise<boolean>
  /** Dead events after the id `after` ('' for the first), the oldest first. */
  dead(after: string, count: number): Promise<DeadDelivery[]>
  /** Delivers a dead event again, before later ones of its lane. False for an unknown id. */
  retry(id: string): Promise<boolean>
  /** Takes events out of the queue until `stop`. */
  start(): void
  /** Takes no more events out of the queue; resolves when calls in progress are over. */
  stop(): Promise<void>
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { name, store, upstream, path, maxAgeMs, maxEvents, maxBytes, leaseMs = LEASE_MS } = options
  const { clock, log, tracer, onResult, onDepth } = options
  const { queue } = store
  const inFlight = new Set<Promise<void>>()
  /** Runs a function outside of the calling request: the loop must not hold its trace. */
  const outside = AsyncLocalStorage.snapshot()
  const outcomes = createOutcomes({ clock, timeoutMs: CALL_MS })
  /** Events that are being stored and begin right after. */
  let starting = 0
  let timer: Timer | undefined
  let plannedAt = Number.POSITIVE_INFINITY
  let depthAt = Number.NEGATIVE_INFINITY
  let pollMs = POLL_MS
  let isRunning = false
  let isLooking = false
  /** True when the queue may hold more due events than the last look took. */
  let isBehind = false

  /** Looks into the queue after `ms`, or at an earlier time that is planned. */
  function plan(ms: number): void {
    const at = clock.monotonic() + ms
    if (!isRunning || at >= plannedAt) return
    clock.clearTimeout(timer)
    plannedAt = at
    timer = clock.setTimeout(() => void look(), ms)
    timer.unref()
  }

  async function look(): Promise<void> {
    plannedAt = Number.POSITIVE_INFINITY
    const free = MAX_IN_FLIGHT - inFlight.size - starting
    if (isLooking || free <= 0) {
      isBehind = true
      return
    }
    isLooking = true
    isBehind = false
    try {
      const claims = await queue.claim(name, free, leaseMs)
      for (const claim of claims) {
        if (isRunning) begin(claim)
        else await queue.release(name, claim, 0)
      }
      if (claims.length === free) isBehind = true
      await reportDepth()
    } catch (error) {
      log.warn({ queue: name, err: error }, 'events could not be read from the store')
    } finally {
      isLooking = false
      plan(isBehind && inFlight.size < MAX_IN_FLIGHT ? 0 : pollMs * (0.75 + Math.random() / 2))
    }
  }

  /** Not with every look: at a high rate that is a call to the store for each event. */
  async function reportDepth(): Promise<void> {
    if (clock.monotonic() - depthAt < POLL_MS / 2) return
    depthAt = clock.monotonic()
    const depth = await queue.depth(name)
    pollMs = depth.waiting > 0 ? POLL_MS : IDLE_POLL_MS
    onDepth(depth)
  }

  function begin(claim: Claim): void {
    const work = attempt(claim)
      .catch((error: unknown) => log.warn({ queue: name, err: error }, 'the outcome of an event could not be stored'))
      .finally(() => {
        inFlight.delete(work)
        if (isBehind) plan(0)
      })
    inFlight.add(work)
  }

  async function attempt(claim: Claim): Promise<void> {
    const verdict = await call(claim)
    if (verdict.outcome === 'retry') {
      if (claim.attempt === 1)
        log.warn(
          { queue: name, event: claim.id, reason: verdict.reason },
          'the delivery of an event failed and is retried'
        )
      await pause(claim, pauseAfter(claim.attempt))
      onResult('retried')
      return
    }
    if (verdict.outcome === 'dead') {
      const { reason } = verdict
      log.warn({ queue: name, event: claim.id, attempts: claim.attempt, reason }, 'an event is dead')
    }
    onResult(verdict.outcome)
    if ((await close(claim, verdict)) === 'more') plan(0)
  }

  async function close(claim: Claim, verdict: Exclude<Verdict, { outcome: 'retry' }>): Promise<Settled> {
    if (verdict.outcome === 'delivered') {
      outcomes.settle(claim, verdict)
      return queue.done(name, claim)
    }
    const settled = await queue.bury(name, claim, verdict.reason, MAX_DEAD)
    outcomes.settle(claim, { outcome: 'dead' })
    return settled
  }

  async function pause(claim: Claim, ms: number): Promise<void> {
    outcomes.keepLane(claim.lane)
    pollMs = POLL_MS
    await queue.release(name, claim, ms)
    plan(ms)
  }

  async function call({ lane, value, enqueuedAt }: Claim): Promise<Verdict> {
    const envelope = readEnvelope(value)
    if (envelope === null) return { outcome: 'dead', reason: 'the stored event cannot be read' }
    const isOld = () => clock.now() - enqueuedAt >= maxAgeMs
    const calls = () => tracer.callsAfter(envelope.headers.traceparent ?? '')
    const request = { ...envelope, path, key: lane, timeoutMs: CALL_MS, maxBytes: MAX_ANSWER_BYTES, tracer: { calls } }
    try {
      return verdictOf(await callUpstream(upstream, clock, request), isOld())
    } catch (error) {
      if (!(error instanceof CallFailure)) log.warn({ queue: name, err: error }, 'an event could not be sent')
      return verdictOf(error instanceof CallFailure ? error : new CallFailure('not sent'), isOld())
    }
  }

  return {
    async deliver({ key, lane, headers, json }) {
      const envelope: Envelope = { headers, json }
      const event = { key, lane, value: JSON.stringify(envelope) }
      // Each lease counts as an attempt: without room for the call there is none.
      const hasRoom = inFlight.size + starting < MAX_IN_FLIGHT
      const limits = { leaseMs: hasRoom ? leaseMs : null, rememberMs: REMEMBER_MS, maxEvents, maxBytes }
      if (hasRoom) starting += 1
      else isBehind = true
      try {
        const enqueued = await queue.enqueue(name, event, limits)
        if (enqueued.outcome !== 'added') {
          onResult(enqueued.outcome === 'known' ? 'duplicate' : 'full')
          return enqueued
        }
        if (enqueued.isPaused) return { outcome: 'kept' }
        const outcome = outcomes.of({ id: enqueued.id, lane })
        if (enqueued.claim === null) pollMs = POLL_MS
        else outside(begin, enqueued.claim)
        return outcome
      } finally {
        if (hasRoom) starting -= 1
      }
    },
    async once(key, work) {
      if (await queue.isKnown(name, key)) return
      const record = `once:${name}:${key}`
      if ((await store.get(record)) !== undefined) return
      await work()
      await store.setIfAbsent(record, '', REMEMBER_MS)
    },
    async claimNonce(nonce, key) {
      const record = `nonce:${name}:${nonce}`
      return (await store.setIfAbsent(record, key, NONCE_MS)) || (await store.get(record)) === key
    },
    async dead(after, count) {
      const events = await queue.dead(name, after, count)
      return events.map(({ id, value, enqueuedAt, diedAt, reason }) => {
        const { headers, json } = readEnvelope(value) ?? { headers: {}, json: value }
        return { id, headers, json, enqueuedAt, diedAt, reason }
      })
    },
    async retry(id) {
      const isFound = await queue.revive(name, id)
      if (isFound) outside(plan, 0)
      return isFound
    },
    start() {
      if (isRunning) return
      isRunning = true
      plan(POLL_MS * Math.random())
    },
    async stop() {
      isRunning = false
      clock.clearTimeout(timer)
      plannedAt = Number.POSITIVE_INFINITY
      await Promise.allSettled(inFlight)
    }
  }
}
