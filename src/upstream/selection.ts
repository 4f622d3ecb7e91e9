/** Ranks the targets of an upstream and picks one of the best rank. Allocates nothing: it runs for
 *  every request. */
import type { Balance } from './balance.ts'
import type { Member } from './member.ts'

/** Unhealthy, or behind an open breaker. */
const UNUSABLE = 0
/** This request failed there. */
const TRIED = 1
/** Ejected, or refused a connection a moment ago. */
const SUSPECT = 2
/** Has no room: a request waits. */
const FULL = 3
const GOOD = 4

export interface SelectionOptions {
  readonly members: readonly Member[]
  readonly balance: Balance
  /** Requests under way at one target. */
  readonly maxInFlight: number
  readonly slowStartMs: number
  /** From 0 to 1. */
  readonly maxEjected: number
}

export class Selection {
  readonly members: readonly Member[]
  readonly #options: SelectionOptions
  /** Panic mode: while more members are ejected, all are used. */
  readonly #maxEjected: number

  constructor(options: SelectionOptions) {
    this.members = options.members
    this.#options = options
    this.#maxEjected = options.maxEjected * options.members.length
  }

  /** Null when no member is usable.
   *  @param now Monotonic milliseconds.
   *  @param key See {@link Balance}.
   *  @param tried Members at which this request failed; null for none. */
  pick(now: number, key: string | null, tried: readonly Member[] | null): Member | null {
    const { members } = this
    const [only] = members
    if (members.length === 1) return only?.isUsable(now) === true ? only : null
    const best = this.#rank(now, tried)
    return best === UNUSABLE ? null : this.#options.balance(members, best, key)
  }

  /** Returns the best rank. */
  #rank(now: number, tried: readonly Member[] | null): number {
    const { members } = this
    const { slowStartMs } = this.#options
    const isPanic = this.#isPanic(now)
    let best = UNUSABLE
    for (const member of members) {
      member.rank = this.#rankOf(member, now, tried, isPanic)
      if (slowStartMs > 0) member.share = member.weight * member.state.shareAt(now, slowStartMs)
      if (member.rank > best) best = member.rank
    }
    return best
  }

  #rankOf(member: Member, now: number, tried: readonly Member[] | null, isPanic: boolean): number {
    if (!member.isUsable(now)) return UNUSABLE
    if (tried?.includes(member)) return TRIED
    if (member.target.avoidUntil > now || (!isPanic && member.state.isEjected(now))) return SUSPECT
    return member.target.inFlight < this.#options.maxInFlight ? GOOD : FULL
  }

  #isPanic(now: number): boolean {
    let ejected = 0
    for (const { state } of this.members) if (state.isEjected(now)) ejected++
    return ejected > this.#maxEjected
  }
}
