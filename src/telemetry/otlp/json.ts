/** Parts of OTLP in JSON: ids in hexadecimal, 64-bit integers as text, names in camelCase
 *  (opentelemetry-proto, docs/specification.md, "JSON Protobuf Encoding"). Written as text: these
 *  run for every traced request. */

/** Anything but printable ASCII without quote and backslash. */
const UNSAFE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/
export const LONGEST_TEXT = 512

/** A JSON text without its quotes, of at most 512 characters. */
export function escaped(text: string): string {
  const short = text.length > LONGEST_TEXT ? text.slice(0, LONGEST_TEXT) : text
  return UNSAFE.test(short) ? JSON.stringify(short.toWellFormed()).slice(1, -1) : short
}

export function textAttribute(name: string, value: string): string {
  return `{"key":"${name}","value":{"stringValue":"${escaped(value)}"}}`
}

export function integerAttribute(name: string, value: number): string {
  return `{"key":"${name}","value":{"intValue":"${value}"}}`
}

/** @param name As the program does not choose it. */
export function attribute(name: string, value: unknown): string {
  const key = escaped(name)
  if (typeof value === 'string') return textAttribute(key, value)
  if (typeof value === 'boolean') return `{"key":"${key}","value":{"boolValue":${value}}}`
  if (typeof value !== 'number') return textAttribute(key, JSON.stringify(value) ?? '')
  if (Number.isSafeInteger(value)) return integerAttribute(key, value)
  return `{"key":"${key}","value":{"doubleValue":${double(value)}}}`
}

/** Protobuf writes what JSON has no number for as text. */
export function double(value: number): string {
  return Number.isFinite(value) ? String(value) : `"${String(value)}"`
}

/** Nanoseconds since 1970 of a number of milliseconds, exact to a microsecond. Written in two
 *  parts: a large number takes three times as long. */
export function nanoseconds(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const micros = Math.floor((ms - seconds * 1000) * 1000)
  return `${seconds}${String(1_000_000 + micros).slice(1)}000`
}
