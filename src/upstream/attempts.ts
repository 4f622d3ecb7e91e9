/** The tries of one request: each goes to a target, and its outcome decides whether another
 *  follows. */
import type { UpstreamConfig } from '../config/config.ts'
import type { ApiError } from '../errors.ts'
import { isStale, kindOf, NO_TARGET, QUEUE_FULL } from './failures.ts'
import type { AttemptOptions, LeaseSource } from './lease-source.ts'
import type { Member } from './member.ts'
import { isFailureOfTarget, isFailureStatus, isIdempotent } from './outcome.ts'
import type { Waiting } from './queue.ts'
import type { Target } from './target.ts'
import type { Refusal } from './upstream-usage.ts'

/** Other targets are preferred for this long after a failed connection. */
const AVOID_MS = 2_000
/** Retries that do not count: after a backend restarts, each of its kept connections fails once. */
const STALE_RETRIES = 3

type RetryCause = UpstreamConfig['retries']['on'][number]

/** The owner of a request that waits for a target. */
export interface Asker {
  /** The lease holds the target, as after a `next`. */
  onTarget(target: Target): void
  /** @param reason A word for the log. */
  onNoTarget(error: ApiError, reason: Refusal): void
}

/** The right to use one target at a time. Every `next` that returned a target is followed by
 *  `failed`, by an `answered` that asks for another target, or by `done`. An object and not a
 *  closure: see docs/decisions/0008. */
export class Lease implements Waiting {
  readonly #source: LeaseSource
  readonly #options: AttemptOptions
  #member: Member | null = null
  /** Monotonic milliseconds at the start of the try. */
  startedAt = 0
  #isTrial = false
  /** The breaker and the outliers know the outcome of the try. */
  #isSettled = false
  #tried: Member[] | null = null
  #retries = 0
  #staleRetries = 0
  #isRetry = false
  #isAnswered = false
  #asker: Asker | null = null
  #awaited: Member | null = null

  constructor(source: LeaseSource, options: AttemptOptions) {
    this.#source = source
    this.#options = options
  }

  /** Null when no target can take the request now: see `wait`. */
  next(): Target | null {
    const { usage, limits, clock, connections } = this.#source
    if (usage.inFlight >= limits.maxInFlight) return null
    const now = clock.monotonic()
    const member = this.#pick(now)
    if (member === null || member.target.inFlight >= connections.max) return null
    return this.#begin(member, now)
  }

  /** Waits for a target, within the limits of the queue. */
  wait(asker: Asker): void {
    const { usage, limits, clock, connections } = this.#source
    this.#asker = asker
    const now = clock.monotonic()
    const member = this.#pick(now)
    if (member === null) this.refused('no_target')
    else if (usage.inFlight >= limits.maxInFlight) this.refused('max_in_flight')
    else if (usage.pending >= limits.maxPending) this.refused('max_pending')
    else {
      this.#awaited = member
      usage.pending++
      const { max, timeout } = connections.queue
      const timeoutMs = Math.min(timeout, this.#options.deadlineAt - now)
      member.target.queue.add(this, max, timeoutMs, clock)
    }
  }

  /** Gives up a `wait`: the asker is not called any more. */
  stopWaiting(): void {
    this.#awaited?.target.queue.remove(this, this.#source.clock)
    this.#leaveQueue()
    this.#asker = null
  }

  get maxInFlight(): number {
    return this.#source.connections.max
  }

  /** False when the request takes no place at the target that it waited for. */
  admitted(): boolean {
    const { usage, limits, clock } = this.#source
    const member = this.#leaveQueue()
    if (member === null) return false
    const now = clock.monotonic()
    const isFull = usage.inFlight >= limits.maxInFlight
    if (isFull || !member.isUsable(now)) {
      this.refused(isFull ? 'max_in_flight' : 'no_target')
      return false
    }
    const target = this.#begin(member, now)
    // Deferred: this may run inside the handler of the request that just ended.
    queueMicrotask(() => {
      if (this.#asker === null) this.done()
      else this.#asker.onTarget(target)
    })
    return true
  }

  refused(reason: Refusal): void {
    this.#leaveQueue()
    this.#source.usage.refusals[reason]++
    this.#asker?.onNoTarget(reason === 'no_target' ? NO_TARGET : QUEUE_FULL, reason)
  }

  /** The head of a response arrived. True: drop it and ask another target. */
  answered(status: number): boolean {
    const now = this.#source.clock.monotonic()
    const isFailure = isFailureStatus(status)
    if (!this.#isSettled) this.#member?.stats.answered(status, now - this.startedAt)
    this.#settle(isFailure, now)
    if (isFailure && this.#mayRetry(String(status) as RetryCause)) return this.#again()
    this.#isAnswered = true
    return false
  }

  /** The try failed. True: ask another target.
   *  @param wasSent True when a connection had taken the request. */
  failed(error: unknown, wasSent: boolean): boolean {
    const kind = kindOf(error, wasSent)
    const now = this.#source.clock.monotonic()
    // Too little time was left for a further try: its timeout says nothing about the target.
    const isShort = this.#retries > 0 && this.#isOverdue(now)
    const isFailure = !isShort && isFailureOfTarget(error, wasSent)
    if (isFailure && kind === 'connect' && this.#member) this.#member.target.avoidUntil = now + AVOID_MS
    if (isFailure && !this.#isSettled) this.#member?.stats.failed()
    if (isFailure) this.#settle(true, now)
    if (kind !== 'other' && !this.#isAnswered) {
      if (kind === 'reset' && isStale(error) && this.#mayRepeatStale()) {
        this.#staleRetries++
        this.#avoidMember()
        this.done()
        return true
      }
      if (this.#mayRetry(kind)) return this.#again()
    }
    this.done()
    return false
  }

  /** Ends the try. May be called more than once. */
  done(): void {
    const member = this.#member
    if (member === null) return
    const { usage, clock } = this.#source
    if (!this.#isSettled) {
      member.stats.abandoned()
      if (this.#isTrial) member.breaker?.trialEnded(null, clock.monotonic())
    }
    this.#member = null
    if (this.#isRetry) usage.budget.ended()
    this.#isRetry = false
    usage.inFlight--
    member.target.inFlight--
    member.target.queue.next(member.target.inFlight, clock)
  }

  #pick(now: number): Member | null {
    return this.#source.selection.pick(now, this.#options.key, this.#tried)
  }

  #begin(member: Member, now: number): Target {
    const { usage } = this.#source
    this.#member = member
    this.startedAt = now
    this.#isSettled = false
    this.#isTrial = member.breaker?.begin() === true
    this.#isRetry = this.#retries > 0
    if (this.#isRetry) usage.budget.started()
    usage.inFlight++
    member.target.inFlight++
    return member.target
  }

  #leaveQueue(): Member | null {
    const member = this.#awaited
    if (member !== null) this.#source.usage.pending--
    this.#awaited = null
    return member
  }

  #settle(isFailure: boolean, now: number): void {
    const member = this.#member
    if (member === null || this.#isSettled) return
    this.#isSettled = true
    if (this.#isTrial) member.breaker?.trialEnded(isFailure, now)
    else member.breaker?.ended(isFailure, now)
    const { selection, outliers, onEjected } = this.#source
    if (!isFailure) member.state.succeeded()
    if (!isFailure || selection.members.length === 1) return
    const ejectedMs = member.state.failed(outliers, now)
    if (ejectedMs > 0) onEjected(member, ejectedMs)
  }

  /** A request that may have taken effect is repeated only when it is idempotent. */
  get #isRepeatable(): boolean {
    return this.#options.isReplayable && isIdempotent(this.#options.method)
  }

  /** Timers drop fractions of a millisecond. */
  #isOverdue(now: number): boolean {
    return now > this.#options.deadlineAt - 1
  }

  #mayRepeatStale(): boolean {
    const { attempts, on } = this.#source.retries
    return attempts > 0 && on.includes('reset') && this.#isRepeatable && this.#staleRetries < STALE_RETRIES
  }

  #mayRetry(cause: RetryCause): boolean {
    const { retries, usage, clock } = this.#source
    const now = clock.monotonic()
    if (this.#retries >= retries.attempts || !retries.on.includes(cause) || this.#isOverdue(now)) return false
    // Nothing was sent: the retry adds no load to the upstream.
    if (cause === 'connect') return true
    if (!this.#isRepeatable) return false
    // A retry that follows a retry takes its place.
    const allowed = retries.budget * usage.inFlight + (this.#isRetry ? 1 : 0)
    const isAllowed = usage.budget.allows(allowed, now)
    if (!isAllowed) usage.retriesRefused++
    return isAllowed
  }

  #again(): true {
    this.#retries++
    this.#source.usage.retries++
    this.#avoidMember()
    this.done()
    return true
  }

  /** Prefers other targets from now on. After all were tried, each may be tried again. */
  #avoidMember(): void {
    if (this.#member === null) return
    const tried = [...(this.#tried ?? []), this.#member]
    this.#tried = tried.length < this.#source.selection.members.length ? tried : null
  }
}
