/** The schema of gateway.yaml as plain data, for the strict check, editors and the reference. */
import type { CheckedSchema } from '../schema-check.ts'
import { configSchema } from './config.ts'

export interface JsonSchema extends CheckedSchema {
  description?: string
  default?: unknown
  required?: string[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  items?: JsonSchema
  anyOf?: JsonSchema[]
  'x-form'?: string
  'x-keys'?: string
  'x-unit'?: 'duration' | 'size'
  'x-range'?: { min: string; max: string }
  'x-secret'?: boolean
  'x-one-or-list'?: boolean
  'x-line'?: boolean
  'x-env'?: string
  'x-public'?: boolean
}

/** A key with a default is not required here, because the check fills it in. */
export const checkedSchema: JsonSchema = relax(JSON.parse(JSON.stringify(configSchema)) as JsonSchema)

function relax(schema: JsonSchema): JsonSchema {
  const properties = schema.properties
  if (properties !== undefined && schema.required !== undefined) {
    schema.required = schema.required.filter((name) => properties[name]?.default === undefined)
    if (schema.required.length === 0) delete schema.required
  }
  for (const part of parts(schema)) relax(part)
  return schema
}

/** The alternative for a value of this kind, in a union of a mapping and a list of such. */
export function alternativeFor(schema: JsonSchema | undefined, kind: 'object' | 'array'): JsonSchema | undefined {
  return schema?.['x-one-or-list'] === true ? schema.anyOf?.find(({ type }) => type === kind) : schema
}

/** The schemas directly inside one. */
export function parts(schema: JsonSchema): JsonSchema[] {
  return [
    ...Object.values(schema.properties ?? {}),
    ...Object.values(schema.patternProperties ?? {}),
    ...(schema.items === undefined ? [] : [schema.items]),
    ...(schema.anyOf ?? [])
  ]
}
