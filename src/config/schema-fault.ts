/** Describes faults against the schema: the form that the value must have, and the shape to
 *  write. Never repeats a value of the file, because it may be a secret in the wrong place. */
import { METHODS } from '../node-http.ts'
import type { SchemaFault } from '../schema-check.ts'
import { foreignKey, foreignWord } from './foreign-names.ts'
import { didYouMean, fold, type Path, quote } from './problem.ts'
import { checkedSchema, type JsonSchema } from './schema.ts'
import { isVariableName, secretTextFault } from './secret-text.ts'
import { placeOf, shapes } from './shapes.ts'
import { lookAlikeHint, mappingHint } from './yaml-fault.ts'

export interface DescribedFault {
  readonly message: string
  readonly hint?: string | undefined
}

/** @param path The place of the fault; for an unknown or missing key, that key. */
export function describeSchemaFault(fault: SchemaFault, path: Path): DescribedFault {
  const { keyword, value, member = '', repeats: [first, second] = [] } = fault
  const schema = fault.schema as JsonSchema
  const place = placeOf(path)
  switch (keyword) {
    case 'additionalProperties':
      return unknownKey(member, path, schema)
    case 'required':
      return { message: 'is missing', hint: shapeHint(place) }
    case 'type':
      return { message: `must be ${formOf(schema)}`, hint: typeHint(value, schema, place) }
    case 'enum':
    case 'const':
    case 'anyOf':
    case 'pattern':
      return { message: `must be ${formOf(schema)}`, hint: valueHint(value, schema, place) }
    case 'x-line':
      return secretTextFault(String(value)) ?? { message: 'is not valid' }
    case 'x-range':
      return { message: `must be from ${schema['x-range']?.min} to ${schema['x-range']?.max}` }
    case 'minimum':
    case 'maximum':
      return { message: `must be from ${schema.minimum} to ${schema.maximum}` }
    case 'minLength':
      return { message: 'must not be empty' }
    case 'maxLength':
      return { message: `must have at most ${schema.maxLength} characters` }
    case 'minItems':
      return { message: 'must have at least one entry', hint: shapeHint(place) }
    case 'maxItems':
      return { message: `must have at most ${schema.maxItems} entries` }
    case 'uniqueItems':
      return { message: `has the same entry twice, at [${first}] and [${second}]` }
    default:
      return { message: `is not valid (${keyword})` }
  }
}

function formOf(schema: JsonSchema): string | undefined {
  return (
    schema['x-form'] ?? (schema.enum && `one of ${schema.enum.join(', ')}`) ?? kinds[schema.type ?? ''] ?? schema.type
  )
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a mapping of keys to values',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false'
}

function shapeHint(place: string): string | undefined {
  return shapes[place] === undefined ? undefined : `write ${shapes[place]}`
}

function unknownKey(key: string, path: Path, schema: JsonSchema): DescribedFault {
  const placeholder = key.includes('${') ? 'placeholders are filled in values, not in keys' : undefined
  if (schema.properties === undefined)
    return { message: schema['x-keys'] ?? `unknown key ${quote(key)}`, hint: placeholder ?? lookAlikeHint(key) }
  const known = Object.keys(schema.properties)
  const foreign = foreignKey(placeOf(path.slice(0, -1)), key)
  const spelled = known.find((name) => fold(name) === fold(key))
  const hint = spelled === undefined && foreign !== undefined ? foreign : (didYouMean(key, known) ?? elsewhere(key))
  return { message: 'unknown key', hint: placeholder ?? lookAlikeHint(key) ?? mappingHint(key) ?? hint }
}

/** A key that is valid in another mapping: it is in the wrong one, or its indentation is. */
function elsewhere(key: string): string | undefined {
  const places = placesOf(key, checkedSchema, '')
  return places.length === 0 || places.length > 3 ? undefined : `did you mean ${places.join(' or ')}?`
}

function placesOf(key: string, schema: JsonSchema, place: string): string[] {
  const inside = [
    ...Object.entries(schema.properties ?? {}).map(([name, part]) => [name, part, `.${name}`] as const),
    ...Object.values(schema.patternProperties ?? {}).map((part) => [null, part, '.*'] as const),
    ...(schema.items === undefined ? [] : [[null, schema.items, '[]'] as const])
  ]
  return inside.flatMap(([name, part, step]) => {
    const here = `${place}${step}`.replace(/^\./, '')
    return [...(name !== null && fold(name) === fold(key) ? [here] : []), ...placesOf(key, part, here)]
  })
}

function typeHint(data: unknown, schema: JsonSchema, place: string): string | undefined {
  const shape = shapeHint(place)
  if (data === null) {
    const missing =
      schema.default === undefined ? 'the value is empty' : 'the value is empty: leave the key out to get the default'
    return shape === undefined ? missing : `${missing}, or ${shape}, or indent its lines below the key`
  }
  if (typeof data === 'string') return textHint(data, schema) ?? shape
  if (typeof data === 'object' && schema.type === 'array')
    return Object.keys(data).map(mappingHint).find(Boolean) ?? shape
  if (typeof data === 'number' || typeof data === 'boolean') {
    if (schema['x-unit'] !== undefined) return unitHint(schema)
    const word = foreignWord(place, String(data))
    if (word !== undefined) return `write ${word}`
    if (schema.type === 'string' && schema.enum === undefined) return 'put the value in quotes'
  }
  return shape ?? (schema.type === 'array' && typeof data !== 'object' ? 'put it in [ ]' : undefined)
}

/** The hint for text where another type is needed. */
function textHint(text: string, { type }: JsonSchema): string | undefined {
  if (isVariableName(text)) return VARIABLE
  if (type === 'boolean' && /^(true|false)$/i.test(text)) return 'remove the quotes'
  if (type === 'boolean' && /^(y|yes|n|no|on|off)$/i.test(text)) return 'use true or false'
  if (type === 'integer' && /^[0-9]+$/.test(text)) return 'remove the quotes'
  return type === 'object' || type === 'array' ? mappingHint(text) : undefined
}

function valueHint(data: unknown, schema: JsonSchema, place: string): string | undefined {
  if (typeof data === 'number' && schema['x-secret'] === true) return 'put the value in quotes'
  const word = typeof data === 'object' ? undefined : foreignWord(place, String(data))
  if (word !== undefined) return `write ${word}`
  if (typeof data !== 'string') return shapeHint(place)
  if (isVariableName(data)) return VARIABLE
  if (schema.enum !== undefined) return didYouMean(data, schema.enum.map(String))
  if (schema['x-unit'] !== undefined) {
    if (/^[0-9]+$/.test(data)) return unitHint(schema)
    if (/^\s*[0-9]+(\.[0-9]+)?\s*[a-z]+\s*$/i.test(data)) return 'whole numbers and small letters, without a space'
    if (/^([0-9]+[a-z]+\s*){2,}$/i.test(data)) return 'one number with one unit, such as 90m'
  }
  return methodHint(data, place)
}

function unitHint(schema: JsonSchema): string {
  return `write it with a unit, such as ${schema['x-unit'] === 'size' ? '64kb' : '30s'}`
}

function methodHint(data: string, place: string): string | undefined {
  if (place !== 'routes[].methods[]') return undefined
  return /^(\*|any|all)$/i.test(data) ? 'leave methods out: the default is all methods' : didYouMean(data, METHODS)
}

const VARIABLE = `a variable is written \${NAME}`
