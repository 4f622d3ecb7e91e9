/** Deadlines of many connections on one timer. They move at each request, which costs a
 *  number and no timer. */
import type { Clock, Timer } from '../clock.ts'

export interface Deadline {
  /** In the time of {@link Deadlines.now}; Infinity: none. */
  deadlineAt: number
  /** Turn of the next look at it; managed by {@link Deadlines}. */
  lookAt: number
  onDeadline(): void
}

/** A hashed timing wheel: each entry lies in the slot of the turn in which it is looked at. */
export class Deadlines {
  /** Monotonic milliseconds at the start of the current turn. */
  now: number
  readonly #clock: Pick<Clock, 'monotonic' | 'setTimeout' | 'clearTimeout'>
  readonly #turnMs: number
  readonly #slots = new Map<number, Deadline[]>()
  #turn = 0
  #timer: Timer | undefined

  /** @param turnMs A deadline is noticed at most two turns late, and never early. */
  constructor(clock: Pick<Clock, 'monotonic' | 'setTimeout' | 'clearTimeout'>, turnMs: number) {
    this.#clock = clock
    this.#turnMs = turnMs
    this.now = clock.monotonic()
  }

  /** Calls `onDeadline` after `ms`, in place of the time set before. */
  set(entry: Deadline, ms: number): void {
    if (this.#timer === undefined) this.now = this.#clock.monotonic()
    // The current turn may be nearly over.
    entry.deadlineAt = this.now + ms + this.#turnMs
    const turn = this.#turn + Math.ceil(ms / this.#turnMs) + 1
    if (entry.lookAt <= this.#turn || turn < entry.lookAt) this.#lookAt(entry, turn)
  }

  /** Ends the entry: it is not called again. */
  remove(entry: Deadline): void {
    entry.deadlineAt = Number.POSITIVE_INFINITY
    entry.lookAt = 0
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#slots.clear()
  }

  #lookAt(entry: Deadline, turn: number): void {
    entry.lookAt = turn
    const slot = this.#slots.get(turn)
    if (slot === undefined) this.#slots.set(turn, [entry])
    else slot.push(entry)
    if (this.#timer === undefined) this.#startTimer()
  }

  #startTimer(): void {
    this.#timer = this.#clock.setTimeout(() => this.#onTurn(), this.#turnMs)
    this.#timer.unref()
  }

  #onTurn(): void {
    this.#turn++
    this.now = this.#clock.monotonic()
    const slot = this.#slots.get(this.#turn)
    this.#slots.delete(this.#turn)
    for (const entry of slot ?? []) if (entry.lookAt === this.#turn) this.#look(entry)
    if (this.#slots.size > 0) this.#timer?.refresh()
    else this.#timer = undefined
  }

  #look(entry: Deadline): void {
    if (entry.deadlineAt <= this.now) {
      entry.lookAt = 0
      entry.onDeadline()
    } else if (entry.deadlineAt === Number.POSITIVE_INFINITY) {
      // `set` starts again.
      entry.lookAt = 0
    } else {
      this.#lookAt(entry, this.#turn + Math.max(1, Math.ceil((entry.deadlineAt - this.now) / this.#turnMs)))
    }
  }
}
