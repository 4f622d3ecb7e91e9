/** The passive state of a target: ejected after failures in a row, slow start after its return. */
import type { UpstreamConfig } from '../config/config.ts'

/** Longest ejection, in times of `ejectFor`. */
const LONGEST_EJECTION = 10
/** Smallest share during a slow start: without requests, a target would never return. */
const SMALLEST_SHARE = 0.1

export type OutlierPolicy = UpstreamConfig['outliers']

/** Times are monotonic milliseconds. */
export class TargetState {
  /** In a row. */
  #failures = 0
  /** In a row: an ejection that follows the one before at once is longer. */
  #ejections = 0
  #ejectedMs = 0
  #ejectedUntil = Number.NEGATIVE_INFINITY
  #backSince = Number.NEGATIVE_INFINITY

  isEjected(now: number): boolean {
    return this.#ejectedUntil > now
  }

  succeeded(): void {
    this.#failures = 0
  }

  /** Returns the length of a new ejection in milliseconds, or 0. */
  failed({ failures, ejectFor }: OutlierPolicy, now: number): number {
    // Requests that panic mode sent, or that started before the ejection.
    if (this.isEjected(now)) return 0
    this.#failures++
    if (this.#failures < failures) return 0
    this.#failures = 0
    const isRepeat = now < this.#ejectedUntil + this.#ejectedMs
    this.#ejections = isRepeat ? Math.min(this.#ejections + 1, LONGEST_EJECTION) : 1
    this.#ejectedMs = ejectFor * this.#ejections
    this.#ejectedUntil = now + this.#ejectedMs
    return this.#ejectedMs
  }

  /** A health check or a breaker takes the target back. */
  returned(now: number): void {
    this.#failures = 0
    this.#backSince = now
  }

  /** The share of its weight that the target gets: less than 1 during a slow start. */
  shareAt(now: number, slowStartMs: number): number {
    const ms = now - Math.max(this.#backSince, this.#ejectedUntil)
    // Negative while ejected: panic mode shares by weight.
    return ms < 0 || ms >= slowStartMs ? 1 : Math.max(SMALLEST_SHARE, ms / slowStartMs)
  }
}
