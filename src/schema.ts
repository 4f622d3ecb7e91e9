/** Builds the JSON Schemas of gateway.yaml and of the endpoints, with the types of TypeBox. TypeBox
 *  itself loads 370 files for them, a third of the time of a start; its types cost nothing. */
import type { TSchema, Type as TypeBox } from 'typebox'

export type { Static, TObject, TProperties, TSchema } from 'typebox'

type Builders = Pick<
  typeof TypeBox,
  | 'Array'
  | 'Boolean'
  | 'Integer'
  | 'Literal'
  | 'Null'
  | 'Number'
  | 'Object'
  | 'Optional'
  | 'Record'
  | 'String'
  | 'Union'
  | 'Unknown'
  | 'Unsafe'
>
type Options = Readonly<Record<string, unknown>>
type Properties = Readonly<Record<string, TSchema>>

/** Hidden from JSON, from `Object.entries` and from a spread. */
const OPTIONAL = '~optional'
const ANY_KEY = '^.*$'

const ofType =
  (type: string) =>
  (options: Options = {}) => ({ type, ...options })

function markOptional(schema: object): object {
  return Object.defineProperty({ ...schema }, OPTIONAL, { value: true })
}

function objectOf(properties: Properties, options: Options = {}): object {
  const required = Object.keys(properties).filter((name) => !(OPTIONAL in (properties[name] ?? {})))
  return { type: 'object', ...(required.length > 0 ? { required } : {}), properties, ...options }
}

function recordOf(key: { readonly pattern?: string }, value: TSchema, options: Options = {}): object {
  return { type: 'object', patternProperties: { [key.pattern ?? ANY_KEY]: value }, ...options }
}

const builders = {
  String: ofType('string'),
  Integer: ofType('integer'),
  Number: ofType('number'),
  Boolean: ofType('boolean'),
  Null: ofType('null'),
  Unknown: (options: Options = {}) => ({ ...options }),
  Unsafe: (schema: object) => ({ ...schema }),
  Literal: (value: string | number, options: Options = {}) => ({ type: typeof value, const: value, ...options }),
  Array: (items: TSchema, options: Options = {}) => ({ type: 'array', items, ...options }),
  Union: (anyOf: readonly TSchema[], options: Options = {}) => ({ anyOf, ...options }),
  Optional: markOptional,
  Object: objectOf,
  Record: recordOf
}

export const Type = builders as unknown as Builders
