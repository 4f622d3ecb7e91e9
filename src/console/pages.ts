/** GET /console/: the page and its files. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import type { Assets } from './assets.ts'

/** No inline code, no other host, no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  // Within the listener the Referer is evidence of the page, see same-origin.ts.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  vary: 'accept-encoding'
}

const UNKNOWN = new ApiError('not_found', 'The console has no such file.')

export function addPages(app: FastifyInstance, assets: Assets): void {
  const schema = { hide: true }
  const send = async (request: FastifyRequest, reply: FastifyReply, name: string) => {
    const asset = await assets.find(name)
    if (asset === null) throw UNKNOWN
    // A page that is stored could show the state of yesterday; its files are compared by ETag.
    reply.headers(HEADERS).header('cache-control', name.endsWith('.html') ? 'no-store' : 'no-cache')
    reply.header('etag', asset.etag).type(asset.type)
    if (request.headers['if-none-match'] === asset.etag) return reply.code(304).send()
    const encoding = encodingFor(request.headers['accept-encoding'])
    if (encoding !== 'identity') reply.header('content-encoding', encoding)
    return reply.send(asset.bodies[encoding])
  }
  app.get('', { schema }, async (_request, reply) => reply.redirect('/console/', 308))
  app.get('/', { schema, prefixTrailingSlash: 'slash' }, (request, reply) => send(request, reply, 'index.html'))
  app.get<{ Params: { file: string } }>('/:file', { schema }, (request, reply) => {
    return send(request, reply, request.params.file)
  })
}

function encodingFor(accepted: string | string[] | undefined): 'identity' | 'gzip' | 'br' {
  const names = String(accepted ?? '')
    .split(',')
    .filter((part) => !/;\s*q=0(\.0*)?\s*$/.test(part))
    .map((part) => part.split(';')[0]?.trim())
  if (names.includes('br')) return 'br'
  return names.includes('gzip') ? 'gzip' : 'identity'
}
