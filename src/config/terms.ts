/** Building blocks of the schema. Keys that start with `x-` serve the strict check and are not
 *  published: `x-form` completes the sentence "must be …", `x-range` bounds a duration or size,
 *  `x-secret` allows `{ file: PATH }`, `x-one-or-list` marks a union of a mapping and a list of
 *  such, `x-public` allows every user to read that file, `x-line` refuses characters that a shell
 *  or an editor left in a secret, and `x-env` names the environment variable that is the
 *  default. */
import { type TObject, type TProperties, Type } from '../schema.ts'
import { durationPattern, sizePattern } from './units.ts'

interface Range {
  readonly min?: string
  readonly max?: string
}

/** Below the longest wait of a Node timer (24.8 days). */
const LONGEST_WAIT = '1d'
const LONGEST_LIFE = '3650d'

/** A mapping with a closed set of keys. A key with a default may be left out; its type is not
 *  optional, because the check fills the default in. */
export function mapping<P extends TProperties>(description: string, properties: P): TObject<P> {
  return Type.Object(properties, { description, additionalProperties: false })
}

/** A mapping that may be left out as a whole; it then consists of its defaults. */
export function section<P extends TProperties>(description: string, properties: P): TObject<P> {
  return Type.Object(properties, { description, additionalProperties: false, default: {} })
}

export function duration(description: string, fallback?: string, range: Range = {}) {
  return Type.String({
    description,
    pattern: durationPattern,
    'x-form': 'a duration such as 10ms, 30s, 5m, 2h or 30d',
    'x-unit': 'duration',
    'x-range': { min: range.min ?? '0s', max: range.max ?? LONGEST_WAIT },
    ...withDefault(fallback)
  })
}

/** A time to keep something. It may be long, since no timer waits for it. */
export function lifetime(description: string, fallback: string, min = '1s') {
  return duration(description, fallback, { min, max: LONGEST_LIFE })
}

export function size(description: string, fallback?: string, range: Range = {}) {
  return Type.String({
    description,
    pattern: sizePattern,
    'x-form': 'a size such as 512b, 64kb, 10mb or 1gb',
    'x-unit': 'size',
    'x-range': { min: range.min ?? '0b', max: range.max ?? '1024gb' },
    ...withDefault(fallback)
  })
}

/** One line of text, or `{ file: PATH }`. The type is text, because the file is read before the
 *  check. */
export function secret(description: string) {
  return textOrFile(description, { 'x-line': true })
}

/** The same for a private key in PEM, which has many lines. */
export function privatePem(description: string) {
  return textOrFile(description, {})
}

/** The same for PEM that every user may read, such as a certificate. */
export function publicPem(description: string) {
  return textOrFile(description, { 'x-public': true })
}

function textOrFile(description: string, more: { 'x-public'?: boolean; 'x-line'?: boolean }) {
  return Type.Unsafe<string>({
    description,
    anyOf: [
      Type.String({ minLength: 1 }),
      fileReference('Path, relative to this file; one newline at its end is dropped.')
    ],
    'x-form': 'text that is not empty, or { file: PATH }',
    'x-secret': true,
    ...more
  })
}

export function fileReference(description: string) {
  return mapping(description, {
    file: Type.String({ description: 'Path, relative to the configuration file.', minLength: 1 })
  })
}

export function text(description: string, fallback?: string) {
  return Type.String({ description, minLength: 1, maxLength: 2048, ...withDefault(fallback) })
}

export function hostName(description: string, fallback?: string) {
  return matching(description, '^[A-Za-z0-9.:_%-]{1,253}$', 'a host name or an IP address', fallback)
}

/** Address of a listener.
 *  @param variable Environment variable that is the default. */
export function host(fallback: string, variable: string) {
  return { ...hostName('Address to listen on.', fallback), 'x-env': variable }
}

/** Port of a listener. */
export function port(fallback: number, variable: string) {
  return { ...integer('Port to listen on; 0 takes any free one.', 0, 65_535, fallback), 'x-env': variable }
}

export function flag(description: string, fallback: boolean) {
  return Type.Boolean({ description, default: fallback })
}

export function integer(description: string, minimum: number, maximum: number, fallback?: number) {
  return Type.Integer({ description, minimum, maximum, ...withDefault(fallback) })
}

export function oneOf<const T extends readonly string[]>(description: string, values: T, fallback?: T[number]) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], description, ...withDefault(fallback) })
}

/** A list of one or more of some words, each at most once. */
export function someOf<const T extends readonly string[]>(
  description: string,
  values: T,
  fallback?: readonly T[number][]
) {
  const items = Type.Unsafe<T[number]>({ type: 'string', enum: [...values] })
  return Type.Array(items, { description, minItems: 1, uniqueItems: true, ...withDefault(fallback) })
}

/** @param form Completes the sentence "must be …". */
export function matching(description: string, pattern: string, form: string, fallback?: string) {
  return Type.String({ description, pattern, 'x-form': form, ...withDefault(fallback) })
}

export function percentage(description: string, fallback?: string) {
  return matching(description, '^(100|[1-9]?[0-9])%$', 'a percentage such as 20%', fallback)
}

/** RFC 9110, section 5.6.2. */
export const tokenPattern = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"

export function headerMap(description: string, value: string) {
  return Type.Record(Type.String({ pattern: tokenPattern }), Type.String({ description: value, maxLength: 4096 }), {
    description,
    additionalProperties: false,
    default: {},
    'x-keys': 'not a valid header name'
  })
}

/** Headers whose values may be secrets. */
export function secretHeaders(description: string) {
  return Type.Record(Type.String({ pattern: tokenPattern }), secret('Value of the header.'), {
    description,
    additionalProperties: false,
    default: {},
    'x-keys': 'not a valid header name'
  })
}

export function limit<const T extends readonly string[]>(by: T, description: string) {
  return {
    max: integer('Requests let through in one window.', 1, 1_000_000_000),
    window: duration('Length of the window.', undefined, { min: '1s' }),
    by: oneOf(description, by)
  }
}

/** Limits of calls to WeChat's API. */
export function wxapiLimit(description: string, concurrency: number) {
  return section(description, {
    rateLimit: Type.Optional(
      mapping('Calls in a window of time; further ones get 429.', {
        max: integer('Calls let through in one window.', 1, 1_000_000_000),
        window: duration('Length of the window.', undefined, { min: '1s' })
      })
    ),
    concurrency: integer('Calls under way in one process; further ones get 503.', 1, 1_000_000, concurrency)
  })
}

function withDefault<T>(fallback: T | undefined): { default?: T } {
  return fallback === undefined ? {} : { default: fallback }
}
