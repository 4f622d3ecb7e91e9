/** Checks requests against the schemas of their endpoints: converts no value to another type, drops
 *  no unknown member and stops at the first fault. */
import type { FastifyServerOptions } from 'fastify'
import { ApiError } from '../../errors.ts'
import { type CheckedSchema, createSchemaCheck, type SchemaFault } from '../../schema-check.ts'

/** True for a valid value; Fastify answers with the error otherwise. */
export type Validate = (value: unknown) => true | { readonly error: ApiError }

/** For `schemaController` of Fastify, whose own compilers take a tenth of a start to load. A schema
 *  describes an answer and never changes it. */
export const schemaController = {
  compilersFactory: {
    buildValidator: createValidators,
    buildSerializer: () => () => (data: unknown) => JSON.stringify(data)
  }
  // The types of Fastify name the functions of Ajv.
} as unknown as NonNullable<FastifyServerOptions['schemaController']>

function createValidators(): (route: { readonly schema: unknown }) => Validate {
  const check = createSchemaCheck({ findsAll: false })
  return ({ schema }) =>
    (value) => {
      const [fault] = check(schema as CheckedSchema, value)
      return fault === undefined || { error: new ApiError('invalid_request', `${describe(fault)}.`) }
    }
}

/** Names the member and the rule, never the value. */
function describe({ keyword, path, member, inside: [inner] = [], schema }: SchemaFault): string {
  if (inner !== undefined) return describe(inner)
  const subject = path.length === 0 ? 'The body' : quoted(path)
  switch (keyword) {
    case 'type':
      return `${subject} must be of the type ${schema.type}`
    case 'required':
      return `${quoted([...path, member ?? ''])} is missing`
    case 'additionalProperties':
      return `${subject} has an unknown member ("${member?.slice(0, 40)}")`
    case 'const':
      return `${subject} must be ${JSON.stringify(schema.const)}`
    case 'enum':
      return `${subject} must be one of ${schema.enum?.join(', ')}`
    case 'minimum':
      return `${subject} must be at least ${schema.minimum}`
    case 'maximum':
      return `${subject} must be at most ${schema.maximum}`
    case 'minLength':
      return `${subject} must have at least ${schema.minLength} characters`
    case 'maxLength':
      return `${subject} must have at most ${schema.maxLength} characters`
    case 'minItems':
      return `${subject} must have at least ${schema.minItems} entries`
    case 'maxItems':
      return `${subject} must have at most ${schema.maxItems} entries`
    default:
      return `${subject} is not valid (${keyword})`
  }
}

function quoted(path: SchemaFault['path']): string {
  return JSON.stringify(path.join('.'))
}
