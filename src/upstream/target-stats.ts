/** Counts of one target in one upstream, in plain numbers: they are formatted when a scrape
 *  asks. */

/** Upper bounds of the time to the head of a response, in seconds. */
export const HEAD_BOUNDS = [0.005, 0.025, 0.1, 0.5, 1, 2.5, 10] as const

/** Outcomes of tries, with the place of their count. `failed`: no valid response. `abandoned`: the
 *  client left, or the target had closed the idle connection. */
export const OUTCOMES = ['failed', '1xx', '2xx', '3xx', '4xx', '5xx', 'other', 'abandoned'] as const
const FAILED = 0
const OTHER = 6
const ABANDONED = 7

export class TargetStats {
  /** Tries by {@link OUTCOMES}. */
  readonly tries = new Float64Array(OUTCOMES.length)
  /** Responses by {@link HEAD_BOUNDS}, each counted once. */
  readonly heads = new Float64Array(HEAD_BOUNDS.length + 1)
  headSeconds = 0
  ejections = 0

  answered(status: number, ms: number): void {
    const digit = Math.trunc(status / 100)
    this.#count(digit >= 1 && digit < OTHER ? digit : OTHER)
    const seconds = ms / 1000
    let index = 0
    while (index < HEAD_BOUNDS.length && seconds > (HEAD_BOUNDS[index] ?? 0)) index++
    this.heads[index] = (this.heads[index] ?? 0) + 1
    this.headSeconds += seconds
  }

  failed(): void {
    this.#count(FAILED)
  }

  abandoned(): void {
    this.#count(ABANDONED)
  }

  #count(index: number): void {
    this.tries[index] = (this.tries[index] ?? 0) + 1
  }
}
