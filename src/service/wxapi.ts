/** ANY /wxapi/{appid}/{path}: calls api.weixin.qq.com with the access token of a mini-program. Here
 *  are the endpoint's document, and the steps of the calls that Fastify serves; ordinary-calls.ts
 *  has those of the others. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { NodeClientSide } from '../http/answer/node-client-side.ts'
import { acceptAnyContentType } from '../http/endpoints/any-content-type.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { admittedOf } from '../http/request.ts'
import { type Static, Type } from '../schema.ts'
import { AppId } from './subject.ts'
import type { ServeWxapi } from './wxapi-call.ts'

/** HEAD comes before GET: otherwise Fastify adds its own. */
const METHODS = ['HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

const Params = Type.Object({
  appid: AppId,
  '*': Type.String({ description: 'Path of api.weixin.qq.com, such as wxa/msg_sec_check.' })
})

type WxapiRoute = { Params: Static<typeof Params> }

const ANYTHING = { '*/*': { schema: {} } }

export function addWxapi(app: FastifyInstance, serve: ServeWxapi): void {
  acceptAnyContentType(app, null)
  const answer = { description: "WeChat's answer, with WeChat's status and headers.", content: ANYTHING }
  const schema = {
    summary: 'Call api.weixin.qq.com with the access token of a mini-program',
    description:
      'Method, query and body as WeChat documents them, without access_token. An access token that WeChat rejects (40001, 40014, 42001) is replaced and the call repeated once. A body may have 20 MiB and is sent with its length. `from_appid` in the query replaces the appid of the path.',
    tags: ['wxapi'],
    params: Params,
    response: withProblems({ 200: answer, default: answer }, [
      'bad_path',
      'not_found',
      'body_too_large',
      'request_timeout',
      'rate_limited',
      'wechat_misconfigured',
      'overloaded',
      'wechat_unavailable',
      'store_unavailable'
    ])
  }
  const handler = (request: FastifyRequest<WxapiRoute>, reply: FastifyReply) => {
    const { caller, audit } = request
    if (caller === null) throw new ApiError('token_missing', 'Send a service token.')
    reply.hijack()
    serve({ admitted: admittedOf(request.raw), caller, audit }, new NodeClientSide(reply.raw))
  }
  for (const method of METHODS) {
    const operationId = `callWeChat${method[0]}${method.slice(1).toLowerCase()}`
    const hasBody = method !== 'GET' && method !== 'HEAD'
    app.route<WxapiRoute>({
      method,
      url: '/:appid/*',
      schema: { operationId, ...schema, ...(hasBody ? { body: { content: ANYTHING } } : {}) },
      handler
    })
  }
}
