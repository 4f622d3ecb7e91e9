/** The tries of one request: each goes to a target, and its outcome decides whether another
 *  follows. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import type { ApiError } from '../errors.ts'
import type { Balance, Member } from './balance.ts'
import { isFaultOfTarget, isStale, kindOf, NO_TARGET } from './failures.ts'
import type { Waiting } from './queue.ts'
import type { Target } from './target.ts'

/** Other targets are preferred for this long after a failed connection. */
const AVOID_MS = 2_000
/** Retries that do not count: after a backend restarts, each of its kept connections fails once. */
const STALE_RETRIES = 3

type RetryCause = UpstreamConfig['retries']['on'][number]

export interface AttemptOptions {
  /** `balance: hash` keeps requests with the same key on one target. */
  readonly key: string | null
  readonly method: string
  /** The request has no body, so it can be sent again. */
  readonly isReplayable: boolean
}

/** One upstream as its leases use it. */
export interface LeaseSource {
  readonly members: readonly Member[]
  readonly balance: Balance
  readonly connections: Pick<UpstreamConfig['connections'], 'max' | 'queue'>
  readonly retries: Pick<UpstreamConfig['retries'], 'attempts' | 'on'>
  readonly clock: Clock
}

/** The owner of a request that waits for a target. */
export interface Asker {
  /** The lease holds the target, as after a `next`. */
  onTarget(target: Target): void
  onNoTarget(error: ApiError): void
}

/** The right to use one target at a time. Every `next` that returned a target is followed by
 *  `failed`, by an `answered` that asks for another target, or by `done`. An object and not a
 *  closure: see docs/decisions/0008. */
export class Lease implements Waiting {
  readonly #source: LeaseSource
  readonly #options: AttemptOptions
  #target: Target | null = null
  #tried: Target[] | null = null
  #retries = 0
  #staleRetries = 0
  #isAnswered = false
  #asker: Asker | null = null
  #awaited: Target | null = null

  constructor(source: LeaseSource, options: AttemptOptions) {
    this.#source = source
    this.#options = options
  }

  /** Null when no target can take the request now: see `wait`. */
  next(): Target | null {
    const target = this.#pick()
    if (target === null || target.inFlight >= this.maxInFlight) return null
    target.inFlight++
    this.#target = target
    return target
  }

  /** Waits for a target, within the limits of the queue. */
  wait(asker: Asker): void {
    const target = this.#pick()
    if (target === null) {
      asker.onNoTarget(NO_TARGET)
      return
    }
    this.#asker = asker
    this.#awaited = target
    target.queue.add(this, this.#source.connections.queue, this.#source.clock)
  }

  /** Gives up a `wait`: the asker is not called any more. */
  stopWaiting(): void {
    this.#awaited?.queue.remove(this, this.#source.clock)
    this.#awaited = null
    this.#asker = null
  }

  get maxInFlight(): number {
    return this.#source.connections.max
  }

  admitted(): void {
    const target = this.#awaited
    if (target === null) return
    this.#awaited = null
    target.inFlight++
    this.#target = target
    // The request that ended may still be in undici, further up this stack.
    queueMicrotask(() => {
      if (this.#asker === null) this.done()
      else this.#asker.onTarget(target)
    })
  }

  refused(error: ApiError): void {
    this.#awaited = null
    this.#asker?.onNoTarget(error)
  }

  /** The first byte of a response arrived. */
  began(): void {
    this.#isAnswered = true
  }

  /** The head of a response arrived. True: drop it and ask another target. */
  answered(status: number): boolean {
    if (status >= 502 && status <= 504 && this.#mayRetry(String(status) as RetryCause)) return this.#again()
    this.#isAnswered = true
    return false
  }

  /** The try failed. True: ask another target.
   *  @param wasSent True when a connection had taken the request. */
  failed(error: unknown, wasSent: boolean): boolean {
    const kind = kindOf(error, wasSent)
    if (kind === 'connect' && this.#target && isFaultOfTarget(error)) {
      this.#target.avoidUntil = this.#source.clock.monotonic() + AVOID_MS
    }
    if (kind !== 'other' && !this.#isAnswered && this.#mayRetry(kind)) {
      const isFree = kind === 'reset' && isStale(error) && this.#staleRetries < STALE_RETRIES
      if (isFree) {
        this.#staleRetries++
        this.done()
        return true
      }
      return this.#again()
    }
    this.done()
    return false
  }

  /** Ends the try. May be called more than once. */
  done(): void {
    const target = this.#target
    if (target === null) return
    this.#target = null
    target.inFlight--
    target.queue.next(target.inFlight, this.#source.clock)
  }

  #pick(): Target | null {
    const { members, balance, clock } = this.#source
    const [only] = members
    if (members.length === 1) return only?.target ?? null
    const tried = this.#tried
    const untried = tried === null ? members : members.filter(({ target }) => !tried.includes(target))
    const now = clock.monotonic()
    const preferred = untried.filter(({ target }) => target.avoidUntil <= now && target.inFlight < this.maxInFlight)
    return balance(preferred.length > 0 ? preferred : untried, this.#options.key)?.target ?? null
  }

  /** A request that may have taken effect is repeated only when it is idempotent. */
  #mayRetry(cause: RetryCause): boolean {
    const { attempts, on } = this.#source.retries
    if (this.#retries >= attempts || !on.includes(cause)) return false
    return cause === 'connect' || (this.#options.isReplayable && isIdempotent(this.#options.method))
  }

  #again(): true {
    this.#retries++
    if (this.#target) {
      const tried = [...(this.#tried ?? []), this.#target]
      // After all targets were tried, each may be tried again.
      this.#tried = tried.length < this.#source.members.length ? tried : null
    }
    this.done()
    return true
  }
}

/** RFC 9110, section 9.2.2. */
function isIdempotent(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PUT' || method === 'DELETE'
}
