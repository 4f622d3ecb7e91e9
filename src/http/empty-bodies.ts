import type { FastifyInstance } from 'fastify'

/** For what sends no body and names a type all the same: wx.request with a POST without data, and many HTTP clients with a
 *  DELETE. */
export function acceptEmptyBodies(scope: FastifyInstance): void {
  const parse = scope.getDefaultJsonParser('error', 'error')
  scope.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, null)
    else parse(request, body, done)
  })
}
