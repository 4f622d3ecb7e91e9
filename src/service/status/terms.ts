/** Schemas that the parts of GET /v1/status share. */
import { type TProperties, type TSchema, Type } from '../../schema.ts'

export const Text = Type.String()
export const Texts = Type.Array(Text)
export const Flag = Type.Boolean()
export const Count = Type.Integer({ minimum: 0 })
export const Counts = Type.Record(Type.String(), Count)
export const Milliseconds = Type.Number({ minimum: 0, description: 'Milliseconds.' })
export const Time = Type.String({
  pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$',
  description: 'ISO 8601, UTC.'
})

export function orNull<S extends TSchema>(schema: S, description?: string) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description })
}

/** An object without further members. */
export function closed<P extends TProperties>(properties: P, description: string) {
  return Type.Object(properties, { additionalProperties: false, description })
}

/** One of some words. */
export function word<const W extends string>(words: readonly W[], description: string) {
  return Type.Unsafe<W>({ type: 'string', enum: words, description })
}

/** @param ms Since the epoch. */
export const timeOf = (ms: number) => new Date(ms).toISOString()
