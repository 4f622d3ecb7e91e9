/** ANY /wxapi/{appid}/{path}: forwards a backend's call to api.weixin.qq.com with the app's
 *  access token. */
import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, toApiError } from '../errors.ts'
import type { ByteBudget, HeldBytes } from '../http/body/byte-budget.ts'
import { readAhead } from '../http/body/read-ahead.ts'
import { MessageBody, RequestBody } from '../http/body/request-body.ts'
import { readable } from '../http/body/streamed-body.ts'
import { acceptAnyContentType } from '../http/endpoints/any-content-type.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { covers } from '../http/path/prefix.ts'
import { type AdmittedRequest, admittedOf, recordOf } from '../http/request.ts'
import type { CallerPresence, EgressAnswer, EgressCall, EgressCapability } from '../platforms/port.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { WxapiResult } from '../telemetry/wxapi-metrics.ts'
import type { Caller } from './callers.ts'
import { AppId, expectApp, type SubjectDeps } from './subject.ts'
import type { WxapiLimits } from './wxapi-limits.ts'

export interface WxapiDeps extends Pick<SubjectDeps, 'findApp'> {
  readonly platforms: Pick<Platforms, 'require'>
  /** Room for the bodies that are held. */
  readonly heldBodies: ByteBudget
  readonly wxapiLimits: WxapiLimits
  readonly metrics: Pick<Metrics, 'wxapiDone'>
  readonly config: { readonly server: { readonly limits: { readonly bodyIdleTimeout: number } } }
}

/** HEAD comes before GET: otherwise Fastify adds its own. */
const METHODS = ['HEAD', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const
/** Bytes. The largest upload of WeChat's API is 10 MB. */
const MAX_BODY = 20 * 1024 * 1024

const Params = Type.Object({
  appid: AppId,
  '*': Type.String({ description: 'Path of api.weixin.qq.com, such as wxa/msg_sec_check.' })
})

const ONE_WRITE_BYTES = 16 * 1024

type WxapiRoute = { Params: Static<typeof Params> }

const NO_PATH = new ApiError('not_found', 'Name a path of api.weixin.qq.com after the appid.')
const AMBIGUOUS = new ApiError('bad_path', 'The path has more than one reading. Send it in its plain form.')
const CREDENTIAL = new ApiError('forbidden', 'The answer of this call is a credential, which stays in the gateway.')
const OTHER_PATH = new ApiError('forbidden', "The service token may not call this path of WeChat's API.")
const NO_ROOM = new ApiError('overloaded', 'The gateway holds too many bodies for WeChat. Try again shortly.')
const TOO_LARGE = new ApiError('body_too_large', 'A body for WeChat may have 20 MiB.')

const ANYTHING = { '*/*': { schema: {} } }

export function addWxapi(app: FastifyInstance, deps: WxapiDeps): void {
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
  const handler = (request: FastifyRequest<WxapiRoute>, reply: FastifyReply) => forward(deps, request, reply)
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

async function forward(
  deps: WxapiDeps,
  request: FastifyRequest<WxapiRoute>,
  reply: FastifyReply
): Promise<FastifyReply> {
  const { platforms, wxapiLimits, heldBodies, metrics } = deps
  const pathApp = expectApp(deps, request, request.params.appid)
  const egress = platforms.require(pathApp.appId, 'egress')
  const admitted = admittedOf(request.raw)
  const path = pathOf(admitted, egress)
  const { appId, query } = egress.chooseApp(admitted.target.query)
  const wxApp = appId === null ? pathApp : expectApp(deps, request, appId)
  const { caller } = request
  if (caller === null || !mayCall(caller, path)) throw OTHER_PATH
  if (request.audit) request.audit.path = path.slice(0, 200)
  const presence = presenceOf(reply)
  const held = heldBodies.open()
  const done = (result: WxapiResult, errcode: number | null = null) =>
    metrics.wxapiDone(wxApp.appId, caller.name, result, errcode)
  try {
    const leave = await wxapiLimits.enter(caller.name, wxApp.appId)
    if (presence.isGone) leave()
    else presence.whenGone(leave)
    const body = await readBody(request, admitted, { idle: deps.config.server.limits.bodyIdleTimeout, held })
    const { requestId } = recordOf(request.raw)
    const { method, headers } = admitted
    const call: EgressCall = { method, path, query, body, headers: headers.kept, requestId, caller: presence }
    const answer = await platforms.require(wxApp.appId, 'egress').forward(wxApp, call)
    done((answer.errcode ?? 0) === 0 && answer.status < 400 ? 'ok' : 'refused', answer.errcode)
    return passOn(reply, answer)
  } catch (error) {
    done(resultOf(toApiError(error)))
    throw error
  } finally {
    held.release()
  }
}

/** One listener for all steps of a call, since each try adds some. */
function presenceOf({ raw }: FastifyReply): CallerPresence {
  const callbacks: (() => void)[] = []
  raw.once('close', () => {
    for (const callback of callbacks) callback()
  })
  return {
    get isGone() {
      return raw.closed
    },
    whenGone: (callback) => void callbacks.push(callback)
  }
}

function resultOf({ code }: ApiError): WxapiResult {
  return code === 'rate_limited' || code === 'overloaded' ? 'limited' : 'failed'
}

/** Judges the canonical path and ignores the router's parameter. */
function pathOf({ target }: AdmittedRequest, egress: EgressCapability): string {
  const [, path] = /^\/wxapi\/[^/]+(\/.*)$/.exec(target.path) ?? []
  if (path === undefined) throw NO_PATH
  const verdict = egress.judge(path, target.needs)
  if (verdict === 'credential') throw CREDENTIAL
  if (verdict === 'ambiguous') throw path === '/' ? NO_PATH : AMBIGUOUS
  return path
}

function mayCall({ wxapi }: Caller, path: string): boolean {
  return wxapi === null || wxapi.some((prefix) => covers(prefix, path))
}

/** WeChat answers 412 to chunked requests, and a call may be repeated: the body is read
 *  completely first. */
async function readBody(
  { raw }: FastifyRequest,
  { headers, method }: AdmittedRequest,
  { idle, held }: { idle: number; held: HeldBytes }
): Promise<Buffer | null> {
  const length = headers.contentLength ?? 0
  if ((length === 0 && !headers.isChunked) || method === 'GET' || method === 'HEAD') return null
  if (length > MAX_BODY) throw TOO_LARGE
  const body = new RequestBody(new MessageBody(raw), { limit: Number.POSITIVE_INFINITY, idle })
  let refusal: ApiError | null = null
  const { head, rest } = await readAhead(readable(body), (size) => {
    if (size > MAX_BODY) refusal = TOO_LARGE
    else if (!held.hold(size)) refusal = NO_ROOM
    return refusal !== null
  })
  if (refusal === null) return head
  rest?.destroy()
  throw refusal
}

/** Sends a short body in one write with its head. */
function sendWhole(raw: ServerResponse, body: Buffer): void {
  if (body.length <= ONE_WRITE_BYTES) raw.end(body.toString('latin1'), 'latin1')
  else raw.end(body)
}

function passOn(reply: FastifyReply, { status, headers, body }: EgressAnswer): FastifyReply {
  const { raw } = reply
  // Comes first, so that a throw here still becomes an answer.
  raw.writeHead(status, headers)
  reply.hijack()
  if (body.rest === null) sendWhole(raw, body.head)
  // A failure ends the connection, so that half an answer never looks complete.
  else pipeline(body.rest, raw, () => {})
  return reply
}
