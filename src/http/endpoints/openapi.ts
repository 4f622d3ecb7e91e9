/** Builds the OpenAPI documents from the schemas of the endpoints. */
import swagger from '@fastify/swagger'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { catalogue, type ErrorCode, PROBLEM_TYPE } from '../../errors.ts'
import { Type } from '../../schema.ts'

/** Security of an endpoint that needs no credential. */
export const PUBLIC: Security = []

type Security = readonly Readonly<Record<string, readonly string[]>>[]

export interface DocumentOptions {
  readonly title: string
  readonly description: string
  /** The default address of the listener. */
  readonly server: string
  /** Names and descriptions of the bearer tokens. */
  readonly tokens: Readonly<Record<string, string>>
  /** Names and descriptions of the groups of endpoints. */
  readonly tags: Readonly<Record<string, string>>
}

const Problem = Type.Object(
  {
    type: Type.String({ pattern: '^urn:wxgate:error:[a-z_]+$' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'For people; its wording may change.' }),
    code: Type.Unsafe<ErrorCode>({ type: 'string', enum: Object.keys(catalogue) }),
    action: Type.Unsafe<string>({ type: 'string', enum: ['none', 'refresh', 'login', 'retry'] }),
    request_id: Type.String()
  },
  {
    $id: 'Problem',
    additionalProperties: false,
    description: 'Every error (RFC 9457). docs/errors.md lists the codes.'
  }
)

/** Call it before the first endpoint is registered. After `ready`, `app.swagger()` returns the
 *  document with every endpoint that has a tag. */
export async function describeEndpoints(app: FastifyInstance, options: DocumentOptions): Promise<void> {
  const { title, description, server, tokens, tags } = options
  app.addSchema(Problem)
  const schemes = Object.entries(tokens).map(([name, meaning]) => {
    return [name, { type: 'http', scheme: 'bearer', description: meaning }] as const
  })
  await app.register(swagger, {
    hideUntagged: true,
    openapi: {
      openapi: '3.1.0',
      info: {
        title,
        description,
        version: '1',
        contact: { name: 'The operator of this gateway' },
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' }
      },
      servers: [{ url: server, description: 'The default address.' }],
      tags: Object.entries(tags).map(([name, meaning]) => ({ name, description: meaning })),
      components: { securitySchemes: Object.fromEntries(schemes) }
    },
    transform: ({ schema, url }) => describe(schema ?? {}, url),
    transformObject: (document) => withOptionalBodies('openapiObject' in document ? document.openapiObject : {}),
    refResolver: { buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `def-${index}`) }
  })
}

/** The errors of admission, which every endpoint shares. */
const ADMISSION: readonly ErrorCode[] = ['bad_header', 'headers_too_large']

function describe(schema: FastifySchema, url: string) {
  const described = { ...schema, response: withProblems(schema.response, ADMISSION) }
  return url.includes('*') ? nameWildcard(described, url) : { schema: described, url }
}

/** Fastify's wildcard is the parameter "*", which is not a valid name in OpenAPI. */
function nameWildcard(schema: FastifySchema, url: string) {
  const { params } = schema as { params?: { properties?: Record<string, unknown>; required?: string[] } }
  const { '*': path, ...properties } = params?.properties ?? {}
  const required = params?.required?.map((name) => (name === '*' ? 'path' : name))
  return {
    schema: { ...schema, params: { ...params, properties: { ...properties, path }, required } },
    url: url.replace('*', ':path')
  }
}

interface Operation {
  readonly requestBody?: { required?: boolean; readonly content: Record<string, { schema?: { anyOf?: object[] } }> }
}

/** The parsers of empty bodies return null, so the schema of an optional body allows it. */
function withOptionalBodies<T extends { readonly paths?: object }>(document: T): T {
  const operations = Object.values(document.paths ?? {}).flatMap((path) => Object.values(path as object)) as Operation[]
  for (const { requestBody } of operations) {
    const media = requestBody?.content['application/json']
    const [nothing, schema] = media?.schema?.anyOf ?? []
    if (!requestBody || !media || !schema || !nothing || !('type' in nothing) || nothing.type !== 'null') continue
    requestBody.required = false
    media.schema = schema
  }
  return document
}

/** Adds the responses for `codes` to those of an endpoint. */
export function withProblems(responses: unknown, codes: readonly ErrorCode[]): Record<string, unknown> {
  const described: Record<string, unknown> = { ...(responses as Record<string, unknown> | undefined) }
  for (const code of codes) {
    const { status, title } = catalogue[code]
    const before = described[status] as { description?: string } | undefined
    const sentence = `\`${code}\`: ${title}.`
    described[status] = {
      description: before?.description === undefined ? sentence : `${before.description} ${sentence}`,
      content: { [PROBLEM_TYPE]: { schema: { $ref: 'Problem#' } } }
    }
  }
  return described
}

/** Gives every endpoint registered in `scope` from here on `security` and the errors `codes`;
 *  one that reads a body also gets `bodyCodes`. */
export function describeScope(
  scope: FastifyInstance,
  { security, codes, bodyCodes }: { security: Security; codes: readonly ErrorCode[]; bodyCodes: readonly ErrorCode[] }
): void {
  scope.addHook('onRoute', (route) => {
    const { response, ...schema } = route.schema ?? {}
    const all = schema.body === undefined ? codes : [...codes, ...bodyCodes]
    route.schema = { ...schema, security, response: withProblems(response, all) }
  })
}
