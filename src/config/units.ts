/** Durations and sizes as gateway.yaml writes them. */

export type Milliseconds = number
export type Bytes = number

const durationUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const sizeUnits = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

export const durationPattern = '^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$'
export const sizePattern = '^(0|[1-9][0-9]{0,8})(b|kb|mb|gb)$'

/** `10ms`, `30s`, `5m`, `2h`, `30d`; null for any other text. */
export function parseDuration(text: string): Milliseconds | null {
  const match = new RegExp(durationPattern).exec(text)
  return match === null ? null : Number(match[1]) * durationUnits[match[2] as keyof typeof durationUnits]
}

/** `512b`, `64kb`, `10mb`, `1gb`, with 1024 bytes in a kb; null for any other text. */
export function parseSize(text: string): Bytes | null {
  const match = new RegExp(sizePattern).exec(text)
  return match === null ? null : Number(match[1]) * sizeUnits[match[2] as keyof typeof sizeUnits]
}

/** A duration that the schema accepted. */
export function milliseconds(text: string): Milliseconds {
  return accepted(parseDuration(text))
}

/** A size that the schema accepted. */
export function bytes(text: string): Bytes {
  return accepted(parseSize(text))
}

/** A percentage that the schema accepted, from 0 to 1. */
export function fraction(text: string): number {
  return Number.parseInt(text, 10) / 100
}

function accepted(value: number | null): number {
  if (value === null) throw new TypeError('a duration or size that the schema should have refused')
  return value
}
