/** Accepts bodies under any Content-Type, for endpoints that judge the bytes themselves. */
import type { FastifyInstance } from 'fastify'

/** Fastify answers 415 to a Content-Type that it cannot parse, before any parser runs.
 *  @param parseAs How the handler receives a body: `string`, `buffer`, or not at all (null). */
export function acceptAnyContentType(
  scope: FastifyInstance,
  parseAs: 'string' | 'buffer' | null,
  bodyLimit?: number
): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    delete request.raw.headers['content-type']
    done()
  })
  scope.removeAllContentTypeParsers()
  if (parseAs === null) scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
  else
    scope.addContentTypeParser(
      '*',
      { parseAs, ...(bodyLimit === undefined ? {} : { bodyLimit }) },
      (_request, body, done) => done(null, body)
    )
}
