/** Percentiles of a histogram, interpolated within a bucket as Prometheus does. */

/** Null without a value. Values beyond the last bound count as the last bound.
 *  @param bounds Upper bounds, ascending.
 *  @param counts Of each bucket, counted once; one more than bounds for larger values.
 *  @param share 0.5 for the median. */
export function percentileOf(bounds: readonly number[], counts: ArrayLike<number>, share: number): number | null {
  let total = 0
  for (let index = 0; index < counts.length; index++) total += counts[index] ?? 0
  if (total === 0) return null
  const rank = share * total
  let before = 0
  for (const [index, bound] of bounds.entries()) {
    const count = counts[index] ?? 0
    if (count > 0 && before + count >= rank) {
      const lower = bounds[index - 1] ?? 0
      return round(lower + ((bound - lower) * (rank - before)) / count)
    }
    before += count
  }
  return bounds.at(-1) ?? null
}

const round = (value: number) => Math.round(value * 100) / 100
