/** GET /openapi/edge.json, /openapi/service.json and /openapi.json: the OpenAPI documents of
 *  both listeners. */
import type { FastifyInstance } from 'fastify'
import { PUBLIC } from '../http/endpoints/openapi.ts'
import { Type } from '../schema.ts'

const Document = Type.Object({ openapi: Type.String() }, { description: 'OpenAPI 3.1.' })

export function addDocuments(
  app: FastifyInstance,
  { edge, service }: { readonly edge: () => object; readonly service: () => object }
): void {
  const paths = [
    ['/openapi/edge.json', 'getEdgeDocument', 'the public edge', edge],
    ['/openapi/service.json', 'getServiceDocument', 'the service listener', service],
    ['/openapi.json', 'getDocument', 'the service listener, under its former path', service]
  ] as const
  for (const [path, operationId, summary, document] of paths) {
    const schema = {
      operationId,
      summary: `The OpenAPI document: ${summary}`,
      description: 'Made from the endpoints of the configuration in force.',
      tags: ['operation'],
      security: PUBLIC,
      response: { 200: Document }
    }
    app.get(path, { schema }, async () => document())
  }
}
