/** Combines the figures of several rounds. */

export interface Sample {
  readonly cpuMicrosPerRequest: number
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Share of the core that the subject used, 0 to 1. Well below 1 the load was the limit. */
  readonly busy: number
  /** Share of one core used by other processes, which distorts the figures. */
  readonly disturbance: number
}

export interface Cell {
  readonly subject: string
  readonly tokens: number
  /** One per round, in the order of the rounds. */
  readonly samples: readonly Sample[]
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}

export function medianOf(cell: Cell, field: keyof Sample): number {
  return median(cell.samples.map((sample) => sample[field]))
}

/** A figure of one cell relative to another. Compares round by round, so that a changing machine
 *  speed affects both. Undefined when either was not measured. */
export function ratioOf(
  field: 'cpuMicrosPerRequest' | 'p99',
  cell: Cell | undefined,
  reference: Cell | undefined
): number | undefined {
  if (cell === undefined || reference === undefined) return undefined
  const ratios = cell.samples.flatMap((sample, round) => {
    const other = reference.samples[round]
    return other === undefined ? [] : [sample[field] / other[field]]
  })
  return ratios.length === 0 ? undefined : median(ratios)
}

export const cpuRatio = (cell: Cell | undefined, reference: Cell | undefined): number | undefined =>
  ratioOf('cpuMicrosPerRequest', cell, reference)

export function findCell(cells: readonly Cell[], subject: string, tokens: number): Cell | undefined {
  return cells.find((cell) => cell.subject === subject && cell.tokens === tokens)
}
