/** A measured figure and its limit. */

export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The largest value that is accepted; null for information. */
  readonly limit: number | null
}

export const holds = ({ value, limit }: Figure): boolean => limit === null || value <= limit

export function lineOf(figure: Figure): string {
  const { what, value, unit, limit } = figure
  const bound = limit === null ? '' : `  (at most ${limit}) ${holds(figure) ? 'ok' : 'TOO MUCH'}`
  return `${what.padEnd(58)} ${value.toFixed(value % 1 === 0 ? 0 : 1).padStart(10)} ${unit}${bound}`
}
