/** The schema for editors: a placeholder is valid for every scalar. */
import { checkedSchema, type JsonSchema } from './schema.ts'

const placeholder: JsonSchema = { type: 'string', pattern: '\\$\\{' }

/** Content of config/gateway.schema.json and output of `wxgate schema`. */
export function publishedSchema(): Readonly<Record<string, unknown>> {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'gateway.yaml of wxgate',
    ...publish(checkedSchema)
  }
}

function publish(schema: JsonSchema): JsonSchema {
  const { description, default: fallback, ...shape } = schema
  const head: JsonSchema = {}
  if (description !== undefined) head.description = describe(description, schema)
  if (fallback !== undefined) head.default = fallback
  if (shape.anyOf !== undefined) {
    return {
      ...head,
      anyOf: [...shape.anyOf.map(publish), ...(schema['x-secret'] ? [] : [placeholder])]
    }
  }
  const plain = withoutPrivate(shape)
  if (shape.properties !== undefined) plain.properties = mapValues(shape.properties, publish)
  if (shape.patternProperties !== undefined) {
    plain.patternProperties = mapValues(shape.patternProperties, publish)
  }
  if (shape.items !== undefined) plain.items = publish(shape.items)
  const isScalar = shape.type !== 'object' && shape.type !== 'array'
  const isFreeText = shape.type === 'string' && shape.pattern === undefined && shape.enum === undefined
  return isScalar && !isFreeText ? { ...head, anyOf: [plain, placeholder] } : { ...head, ...plain }
}

function describe(description: string, schema: JsonSchema): string {
  const fallback = schema.default
  const isSection = typeof fallback === 'object' && Object.keys(fallback ?? {}).length === 0
  const standard = fallback === undefined || isSection ? '' : ` Default: ${written(fallback)}${orVariable(schema)}.`
  return `${description}${standard}`
}

function orVariable(schema: JsonSchema): string {
  return schema['x-env'] === undefined ? '' : `, or the environment variable ${schema['x-env']}`
}

/** A default in the form of gateway.yaml. */
export function written(value: unknown): string {
  return Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
}

function withoutPrivate(schema: JsonSchema): JsonSchema {
  const plain: JsonSchema = Object.fromEntries(Object.entries(schema).filter(([key]) => !key.startsWith('x-')))
  const numbers = plain.enum?.filter((word) => /^[0-9]+$/.test(String(word))) ?? []
  if (plain.enum === undefined || numbers.length === 0) return plain
  // YAML reads an unquoted status code as a number; the check accepts both.
  const { type, ...untyped } = plain
  return { ...untyped, enum: [...plain.enum, ...numbers.map(Number)] }
}

function mapValues(
  schemas: Readonly<Record<string, JsonSchema>>,
  change: (schema: JsonSchema) => JsonSchema
): Record<string, JsonSchema> {
  return Object.fromEntries(Object.entries(schemas).map(([key, schema]) => [key, change(schema)]))
}
