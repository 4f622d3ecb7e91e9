/** A log that remembers its lines, for tests of the stores. */
import type { Log } from '../../src/telemetry/log.ts'

/** Every line is the message followed by its fields as JSON. */
export function quietLog(): Log & { readonly lines: string[] } {
  const lines: string[] = []
  const note = (...args: unknown[]) => {
    lines.push(args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg, errorsToo))).join(' '))
  }
  return { lines, debug: () => undefined, info: note, warn: note, error: note }
}

function errorsToo(_key: string, value: unknown): unknown {
  return value instanceof Error ? `${value.stack} ${JSON.stringify({ ...value })} ${value.cause}` : value
}
