/** Accepts requests without a body under any content type. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../../errors.ts'

const NOT_JSON = new ApiError('invalid_request', 'Send the body as application/json.')

/** Clients name a type for an empty body: wx.request with a POST and many clients with a DELETE
 *  send application/json, `fetch` and `curl -d ''` others. */
export function acceptEmptyBodies(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, null)
    else parse(request, body, done)
  })
  scope.removeContentTypeParser('text/plain')
  scope.addContentTypeParser<string>('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') done(null, null)
    else done(NOT_JSON)
  })
}
