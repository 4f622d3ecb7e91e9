/** Requests without a body that name the type of one. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../../errors.ts'

const NOT_JSON = new ApiError('invalid_request', 'Send the body as application/json.')

/** A request without data may name any type: wx.request with a POST and many clients with a DELETE say application/json,
 *  what is wrapped around them, `fetch` or `curl -d ''` say others. */
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
