/** POST /v1/explain: the decision about a request, by the code that would serve it. Sends
 *  nothing. */
import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { type Static, Type } from '../schema.ts'
import { closed } from './status/terms.ts'

export interface ExplainDeps {
  /** @param rawHeaders Name and value in turns. */
  explain(request: {
    readonly method: string
    readonly target: string
    readonly rawHeaders: readonly string[]
    readonly from: string
  }): object
}

const Body = closed(
  {
    method: Type.String({ minLength: 1, maxLength: 32 }),
    path: Type.String({ minLength: 1, maxLength: 8192, description: 'With the query, as in a request line.' }),
    headers: Type.Optional(
      Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 256, description: 'Such as `X-Canary: 1`.' })
    ),
    from: Type.Optional(Type.String({ maxLength: 64, description: 'Address of the peer. Default: 192.0.2.1.' }))
  },
  'A request.'
)

const Explanation = Type.Record(Type.String(), Type.Unknown(), {
  description:
    'As `wxgate explain --format json` prints it: request, path, route, why, auth, answer, upstream, stripped.'
})

const DEFAULT_FROM = '192.0.2.1'
const NO_HEADER = new ApiError('invalid_request', 'A header needs a name, a ":" and a value, such as "X-Canary: 1".')
const NO_ADDRESS = new ApiError('invalid_request', '"from" must be an IP address.')

export function addExplain(app: FastifyInstance, { explain }: ExplainDeps): void {
  const schema = {
    operationId: 'explainRequest',
    summary: 'The decision about a request',
    description:
      'The route with the reason, the user, the request for the upstream and the stripped headers. Sends nothing; counts for no limit.',
    tags: ['admin'],
    body: Body,
    response: withProblems({ 200: Explanation }, [])
  }
  app.post<{ Body: Static<typeof Body> }>('/explain', { schema }, async (request, reply) => {
    const { method, path: target, headers = [], from = DEFAULT_FROM } = request.body
    if (isIP(from) === 0) throw NO_ADDRESS
    reply.header('cache-control', 'no-store')
    return explain({ method, target, rawHeaders: headers.flatMap(readHeaderLine), from })
  })
}

/** Name and value of a line. */
export function readHeaderLine(line: string): [string, string] {
  const colon = line.indexOf(':')
  if (colon < 0) throw NO_HEADER
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
}
