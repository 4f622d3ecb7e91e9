/** Delivers the events of one durable queue to an upstream: at least once, the events of a lane in
 *  their order. */
import type { Clock, Timer } from '../clock.ts'
import type { Store } from '../store/port.ts'
import type { Claim, QueueDepth } from '../store/queue.ts'
import { CallFailure, callUpstream } from './call.ts'
import type { Upstream } from './upstreams.ts'

/** Time for one call. WeChat waits five seconds for the answer to an event. */
const CALL_MS = 4_500
/** Longer than a call and the writes after it: an event whose process died is handed out again. */
const LEASE_MS = 15_000
/** Interval between two looks for events that this process did not add. */
const POLL_MS = 1_000
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000
/** Calls at the same time. */
const MAX_IN_FLIGHT = 64
/** Largest answer in bytes: a passive reply is small. */
const MAX_ANSWER_BYTES = 64 * 1024
/** Longer than the time for which a signed request is accepted, and than WeChat's repeats. */
const REMEMBER_MS = 24 * 3_600_000
const MAX_DEAD = 10_000
/** Twice the window in which the platform accepts a signature. */
const NONCE_MS = 10 * 60_000
/** Statuses below 500 that another attempt can change. */
const TEMPORARY: ReadonlySet<number> = new Set([408, 425, 429])

export interface DeliveryEvent {
  /** Equal for every delivery of one event. */
  readonly key: string
  readonly lane: string
  readonly headers: Readonly<Record<string, string>>
  readonly json: string
}

export type Delivered =
  /** `text` is the body of the upstream's answer. */
  | { readonly outcome: 'delivered'; readonly text: string }
  /** It is kept, and delivered later. */
  | { readonly outcome: 'kept' }
  /** `dead`: the upstream refused it. `known`: a repeat. `full`: it was not taken. */
  | { readonly outcome: 'dead' | 'known' | 'full' }

export type DeliveryResult = 'delivered' | 'retried' | 'dead' | 'duplicate' | 'full'

export interface DeliveryOptions {
  /** Name of the queue. */
  readonly name: string
  readonly store: Pick<Store, 'get' | 'setIfAbsent' | 'queue'>
  readonly upstream: Upstream
  readonly path: string
  /** An event is dead when it is older. */
  readonly maxAgeMs: number
  readonly maxEvents: number
  readonly maxBytes: number
  readonly clock: Clock
  readonly log: { warn(fields: object, message: string): void }
  readonly onResult: (result: DeliveryResult) => void
  readonly onDepth: (depth: QueueDepth) => void
}

export interface Delivery {
  /** Resolves with the outcome of the first attempt, or with `kept` when the time for an answer is
   *  over. Throws a StoreError when the event could not be stored. */
  deliver(event: DeliveryEvent): Promise<Delivered>
  /** False when the nonce was used for an event with another key. Nonces are remembered for ten
   *  minutes. */
  isUnused(nonce: string, key: string): Promise<boolean>
  /** Takes no more events out of the queue; resolves when calls in progress are over. */
  stop(): Promise<void>
}

interface Envelope {
  readonly headers: Readonly<Record<string, string>>
  readonly json: string
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { name, store, upstream, path, maxAgeMs, maxEvents, maxBytes, clock, log, onResult, onDepth } = options
  const { queue } = store
  const inFlight = new Set<Promise<void>>()
  /** By the id of the event: requests that wait for an outcome. */
  const waiting = new Map<string, (delivered: Delivered) => void>()
  let timer: Timer | undefined
  let isClaiming = false
  let isStopped = false

  function schedule(ms: number): void {
    clock.clearTimeout(timer)
    if (isStopped) return
    timer = clock.setTimeout(() => void claim(), ms)
    timer.unref()
  }

  async function claim(): Promise<void> {
    const free = MAX_IN_FLIGHT - inFlight.size
    if (isClaiming || isStopped || free <= 0) return
    isClaiming = true
    let count = 0
    try {
      const claims = await queue.claim(name, free, LEASE_MS)
      count = claims.length
      for (const one of claims) begin(one)
      onDepth(await queue.depth(name))
    } catch (error) {
      log.warn({ queue: name, err: error }, 'events could not be read from the store')
    } finally {
      isClaiming = false
      // A full batch may not be all.
      schedule(count === free ? 0 : POLL_MS * (0.75 + Math.random() / 2))
    }
  }

  function begin(claim: Claim): void {
    const work = attempt(claim)
      .catch((error: unknown) => log.warn({ queue: name, err: error }, 'the outcome of an event could not be stored'))
      .finally(() => {
        inFlight.delete(work)
        waiting.delete(claim.id)
      })
    inFlight.add(work)
  }

  async function attempt(claim: Claim): Promise<void> {
    const answer = await call(claim)
    if (answer.status >= 200 && answer.status < 300) {
      settle(claim.id, { outcome: 'delivered', text: answer.text })
      onResult('delivered')
      await queue.done(name, claim)
      // The next event of the lane.
      schedule(0)
      return
    }
    const isRefused = answer.status >= 400 && answer.status < 500 && !TEMPORARY.has(answer.status)
    const isOld = clock.now() - claim.enqueuedAt >= maxAgeMs
    if (isRefused || isOld) {
      const reason = isRefused ? answer.reason : `${answer.reason}, and too old for another attempt`
      log.warn({ queue: name, event: claim.id, attempts: claim.attempt, reason }, 'an event is dead')
      await queue.bury(name, claim, reason, MAX_DEAD)
      settle(claim.id, { outcome: 'dead' })
      onResult('dead')
      schedule(0)
      return
    }
    if (claim.attempt === 1) log.warn({ queue: name, event: claim.id, reason: answer.reason }, 'an event is kept')
    await queue.release(name, claim, pauseAfter(claim.attempt))
    settle(claim.id, { outcome: 'kept' })
    onResult('retried')
  }

  async function call({ lane, value }: Claim): Promise<{ status: number; reason: string; text: string }> {
    const { headers, json } = JSON.parse(value) as Envelope
    try {
      const request = { path, headers, json, key: lane, timeoutMs: CALL_MS, maxBytes: MAX_ANSWER_BYTES }
      const { status, text } = await callUpstream(upstream, clock, request)
      return { status, reason: `the upstream answered ${status}`, text }
    } catch (error) {
      if (!(error instanceof CallFailure)) throw error
      return { status: 0, reason: error.reason, text: '' }
    }
  }

  function settle(id: string, delivered: Delivered): void {
    waiting.get(id)?.(delivered)
    waiting.delete(id)
  }

  /** Waits for the outcome at most as long as WeChat does. */
  function outcomeOf(id: string): Promise<Delivered> {
    return new Promise((resolve) => {
      const limit = clock.setTimeout(() => settle(id, { outcome: 'kept' }), CALL_MS)
      waiting.set(id, (delivered) => {
        clock.clearTimeout(limit)
        resolve(delivered)
      })
    })
  }

  schedule(POLL_MS * Math.random())

  return {
    async deliver({ key, lane, headers, json }) {
      const envelope: Envelope = { headers, json }
      const event = { key, lane, value: JSON.stringify(envelope) }
      const limits = { leaseMs: LEASE_MS, rememberMs: REMEMBER_MS, maxEvents, maxBytes }
      const enqueued = await queue.enqueue(name, event, limits)
      if (enqueued.outcome !== 'added') {
        onResult(enqueued.outcome === 'known' ? 'duplicate' : 'full')
        return enqueued
      }
      const outcome = outcomeOf(enqueued.id)
      if (enqueued.claim !== null) begin(enqueued.claim)
      return outcome
    },
    async isUnused(nonce, key) {
      const record = `nonce:${name}:${nonce}`
      return (await store.setIfAbsent(record, key, NONCE_MS)) || (await store.get(record)) === key
    },
    async stop() {
      isStopped = true
      clock.clearTimeout(timer)
      await Promise.allSettled(inFlight)
    }
  }
}

/** Doubles with every attempt; random, so that lanes do not come back together. */
function pauseAfter(attempt: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + Math.random() / 2)
}
