/** ANY /wxapi/{appid}/{path}: api.weixin.qq.com for backends, with the access token that they need not hold. */
import { pipeline } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError, toApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { readAhead } from '../http/body/read-ahead.ts'
import { RequestBody } from '../http/body/request-body.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { type AdmittedRequest, admittedOf } from '../http/request.ts'
import type { EgressAnswer, EgressCall, EgressCapability } from '../platforms/port.ts'
import { AppId, expectApp } from './subject.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
/** A body announced as no larger is held back until WeChat has accepted the token; of those that announce nothing, JSON. */
const REPLAYABLE = 1024 * 1024
const Params = Type.Object({
  appid: AppId,
  '*': Type.String({ description: 'Path of api.weixin.qq.com, such as wxa/msg_sec_check.' })
})

const NO_PATH = new ApiError('not_found', 'Name a path of api.weixin.qq.com after the appid.')
const AMBIGUOUS = new ApiError('bad_path', 'The path can be read in more than one way. Send it in its plain form.')
const CREDENTIAL = new ApiError('forbidden', 'The answer of this call is a credential, which stays in the gateway.')

export function addWxapi(app: FastifyInstance, parts: Parts): void {
  // Bodies are passed on as they come, whatever they are.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  const anything = Type.Unknown({ description: "WeChat's answer, with WeChat's status, as it came." })
  const schema = {
    summary: 'Call api.weixin.qq.com with the access token of a mini-program',
    description:
      'Method, query and body as WeChat documents them, without access_token. An access token that WeChat rejects (40001, 40014, 42001) is replaced and the call made once more, unless the body is larger than 1 MiB, or has no Content-Length and is no JSON.',
    tags: ['wxapi'],
    params: Params,
    response: withProblems({ 200: anything, default: anything }, [
      'bad_path',
      'not_found',
      'rate_limited',
      'wechat_misconfigured',
      'wechat_unavailable',
      'store_unavailable'
    ])
  }
  app.route<{ Params: Static<typeof Params> }>({
    method: METHODS,
    url: '/:appid/*',
    schema,
    handler: async (request, reply) => {
      const wxApp = expectApp(parts, request, request.params.appid)
      const egress = parts.platforms.require(wxApp.appId, 'egress')
      const context = admittedOf(request.raw)
      const path = pathOf(context, egress)
      if (request.audit) request.audit.path = path.slice(0, 200)
      const left = new AbortController()
      reply.raw.once('close', () => left.abort())
      const body = await readBody(request, context, parts.config.server.limits.bodyIdleTimeout)
      const { method, target, headers } = context
      const call = { method, path, query: target.query, body, signal: left.signal }
      const { kept, contentLength } = headers
      return passOn(reply, await egress.forward(wxApp, { ...call, headers: kept, contentLength }))
    }
  })
}

/** Decided on the canonical path and nothing else, whatever the router made of it. */
function pathOf({ target }: AdmittedRequest, egress: EgressCapability): string {
  const [, path] = /^\/wxapi\/[^/]+(\/.*)$/.exec(target.path) ?? []
  if (path === undefined) throw NO_PATH
  const verdict = egress.judge(path, target.needs)
  if (verdict === 'credential') throw CREDENTIAL
  if (verdict === 'ambiguous') throw path === '/' ? NO_PATH : AMBIGUOUS
  return path
}

async function readBody(
  { raw, headers }: FastifyRequest,
  { headers: read, method }: AdmittedRequest,
  idle: number
): Promise<EgressCall['body']> {
  const length = read.contentLength ?? 0
  if ((length === 0 && !read.isChunked) || method === 'GET' || method === 'HEAD') return null
  const body = new RequestBody(raw, { limit: Number.POSITIVE_INFINITY, idle })
  const isJson = /^(?:application\/(?:[\w.-]+\+)?json|text\/plain)\b/i.test(headers['content-type'] ?? '')
  if (length === 0 ? !isJson : length > REPLAYABLE) return body
  try {
    const { head, rest } = await readAhead(body, (size) => size > REPLAYABLE)
    return rest ?? head
  } catch (error) {
    throw toApiError(error)
  }
}

function passOn(reply: FastifyReply, { status, headers, body }: EgressAnswer): FastifyReply {
  reply.hijack()
  const { raw } = reply
  raw.writeHead(status, headers)
  if (body.rest === null) raw.end(body.head)
  // Half an answer must not look like a whole one: a failure on the way ends the connection.
  else pipeline(body.rest, raw, () => {})
  return reply
}
