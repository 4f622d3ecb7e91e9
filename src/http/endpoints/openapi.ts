/** The OpenAPI document of the service listener, made from the schemas of its endpoints. It describes what is answered; it
 *  takes nothing away and changes nothing on the way. */
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { catalogue, type ErrorCode, PROBLEM_TYPE } from '../../errors.ts'

/** Name of the security scheme. */
export const SERVICE_TOKEN = 'serviceToken'

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

/** Called before any endpoint is registered. */
export async function describeService(app: FastifyInstance): Promise<void> {
  app.addSchema(Problem)
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'wxgate, service listener',
        description: 'For backends and operators. It listens on a private address and never on the internet.',
        version: '1'
      },
      components: {
        securitySchemes: {
          [SERVICE_TOKEN]: { type: 'http', scheme: 'bearer', description: 'A token listed under service.tokens.' }
        }
      }
    },
    refResolver: { buildLocalReference: (schema, _base, _fragment, index) => String(schema.$id ?? `def-${index}`) }
  })
}

/** GET /openapi.json */
export function addOpenApi(app: FastifyInstance): void {
  const response = { 200: Type.Object({ openapi: Type.String() }, { description: 'This document.' }) }
  app.get('/openapi.json', { schema: { summary: 'This document', tags: ['operation'], response } }, async () =>
    app.swagger()
  )
}

/** The responses of an endpoint together with those for the errors named. */
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
