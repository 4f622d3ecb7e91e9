/** gateway.yaml: the one schema that the types, the check, config/gateway.schema.json and docs/configuration.md come from. */
import { type Static, Type } from 'typebox'
import { apps, login, sessions, tokens, wechat } from './schema/apps.ts'
import { routes } from './schema/routes.ts'
import { server, service } from './schema/server.ts'
import { flag, mapping, oneOf, secret, section } from './schema/terms.ts'
import { upstreams } from './schema/upstreams.ts'

export const configSchema = mapping('The configuration of wxgate.', {
  version: Type.Literal(1, { description: 'Version of this format.', default: 1, 'x-form': '1' }),
  server,
  service,
  secrets: Type.Array(
    secret(
      'At least 32 characters, as `wxgate keygen` prints them; the word `generated` makes one at the first start and keeps it beside the sqlite store.'
    ),
    {
      description: 'The first one signs and encrypts, all verify and decrypt. To rotate, put a new one in front.',
      minItems: 1,
      maxItems: 16
    }
  ),
  wechat,
  apps,
  tokens,
  sessions,
  login,
  store: Type.Unsafe<string>({
    ...secret('Where sessions live: `memory`, `sqlite:PATH`, `redis://…` or `rediss://…`.'),
    default: 'sqlite:./data/wxgate.db'
  }),
  logging: section('The log, on standard output.', {
    level: oneOf(
      'Least important messages that are written.',
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'info'
    ),
    access: flag('One line for every request.', true),
    format: Type.Optional(
      oneOf('Form of the lines. Default: `pretty` on a terminal, else `json`.', ['json', 'pretty', 'combined'])
    )
  }),
  upstreams,
  routes
})

/** The file after the check: defaults filled in, placeholders filled in, secrets read. */
export type Written = Static<typeof configSchema>

/** The same while some of it may be missing or wrong: what is there has the right type. */
export type Draft<T> = T extends readonly (infer E)[]
  ? readonly (Draft<E> | undefined)[]
  : T extends object
    ? { readonly [K in keyof T]?: Draft<T[K]> | undefined }
    : T

/** A JSON Schema as plain data. */
export interface JsonSchema {
  type?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  const?: unknown
  pattern?: string
  minimum?: number
  maximum?: number
  minLength?: number
  minItems?: number
  required?: string[]
  properties?: Record<string, JsonSchema>
  patternProperties?: Record<string, JsonSchema>
  additionalProperties?: boolean
  items?: JsonSchema
  anyOf?: JsonSchema[]
  'x-form'?: string
  'x-keys'?: string
  'x-unit'?: 'duration' | 'size'
  'x-range'?: { min: string; max: string }
  'x-secret'?: boolean
  'x-public'?: boolean
}

/** The schema as data for the strict check: a key that has a default is not required. */
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

/** The schemas directly inside one. */
export function parts(schema: JsonSchema): JsonSchema[] {
  return [
    ...Object.values(schema.properties ?? {}),
    ...Object.values(schema.patternProperties ?? {}),
    ...(schema.items === undefined ? [] : [schema.items]),
    ...(schema.anyOf ?? [])
  ]
}
