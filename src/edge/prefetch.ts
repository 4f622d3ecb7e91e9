/** GET and POST /wechat/prefetch/{appid}: data pre-fetch. WeChat's servers ask for the data of a
 *  user before the mini-program runs. The call is not signed: a code or an access token names the
 *  user, and neither is passed on. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { networkKey } from '../http/network.ts'
import { recordOf } from '../http/request.ts'
import type { PrefetchUser, PrefetchUsers } from '../login/prefetch-users.ts'
import { type Static, Type } from '../schema.ts'
import { CallFailure, type UpstreamAnswer } from '../upstream/call.ts'

/** Bytes of an answer, by WeChat's documentation. */
const MAX_ANSWER_BYTES = 256 * 1024

/** The data of one app. */
export interface PrefetchSource {
  readonly limiter: { hit(key: string): Promise<unknown> }
  /** Rejects with a CallFailure. */
  ask(call: {
    readonly headers: Readonly<Record<string, string>>
    readonly json: string
    readonly key: string
    readonly maxBytes: number
  }): Promise<UpstreamAnswer>
}

export interface PrefetchDeps {
  readonly prefetchUsers: PrefetchUsers
  readonly log: { warn(fields: object, message: string): void }
  /** Undefined for an app without data pre-fetch. */
  prefetchOf(appId: string): PrefetchSource | undefined
  findApp(appId: string): AppConfig | undefined
}

const Params = Type.Object({ appid: Type.String({ description: 'AppID of the mini-program.' }) })
const Text = Type.Optional(Type.String({ maxLength: 8192 }))
const NumberOrText = Type.Optional(
  Type.Union([Type.String({ maxLength: 64 }), Type.Unsafe<number>({ type: 'number' })])
)
const fields = {
  code: Type.Optional(Type.String({ maxLength: 512, description: 'A fresh login code.' })),
  token: Type.Optional(
    Type.String({ maxLength: 4096, description: 'The access token given to wx.setBackgroundFetchToken.' })
  ),
  appid: Text,
  timestamp: NumberOrText,
  path: Text,
  query: Text,
  scene: NumberOrText,
  customMiniprogramVersion: Text
}
const Fields = Type.Object(fields, { description: 'Exactly one of `code` and `token`.' })
const Body = Type.Union([Fields, Type.Null()])
/** Members of the call that the upstream receives. */
const PASSED_ON = ['timestamp', 'path', 'query', 'scene', 'customMiniprogramVersion'] as const

type PrefetchRoute = {
  Params: Static<typeof Params>
  Querystring: Static<typeof Fields>
  Body: Static<typeof Fields> | null
}

const UNKNOWN = new ApiError('not_found', 'No data pre-fetch is configured for this appid (apps[].prefetch).')
const ONE_OF_TWO = new ApiError('invalid_request', 'Send either "code" or "token".')
const OTHER_APP = new ApiError('invalid_request', 'The appid of the call is not the one of the path.')
const UNAVAILABLE = new ApiError(
  'upstream_unavailable',
  'The backend for data pre-fetch is unreachable. Try again shortly.'
)
const TIMEOUT = new ApiError('upstream_timeout', 'The backend with the data did not answer in time.')
const INVALID = new ApiError('upstream_invalid', 'The backend gave no data, more than 256 KB, or no text.')

export function addPrefetch(app: FastifyInstance, deps: PrefetchDeps): void {
  app.register(async (scope) => {
    acceptEmptyBodies(scope)
    const answer = { description: "The backend's answer.", content: { '*/*': { schema: {} } } }
    const schema = {
      summary: 'Answers a data pre-fetch (数据预拉取)',
      description: 'Called by the servers of WeChat. The answer has at most 256 KB.',
      tags: ['push'],
      params: Params,
      querystring: Fields,
      security: PUBLIC,
      response: withProblems({ 200: answer }, [
        'invalid_request',
        'token_invalid',
        'token_expired',
        'session_revoked',
        'code_invalid',
        'code_used',
        'login_blocked',
        'not_found',
        'rate_limited',
        'upstream_invalid',
        'wechat_misconfigured',
        'upstream_unavailable',
        'wechat_unavailable',
        'store_unavailable',
        'upstream_timeout'
      ])
    }
    const handler = (request: FastifyRequest<PrefetchRoute>, reply: FastifyReply) => serve(deps, request, reply)
    const url = '/wechat/prefetch/:appid'
    scope.get<PrefetchRoute>(url, { schema: { operationId: 'prefetch', ...schema } }, handler)
    const post = { operationId: 'prefetchPost', ...schema, body: Body }
    scope.post<PrefetchRoute>(url, { schema: post }, handler)
  })
}

async function serve(
  deps: PrefetchDeps,
  request: FastifyRequest<PrefetchRoute>,
  reply: FastifyReply
): Promise<FastifyReply> {
  const app = deps.findApp(request.params.appid)
  const source = app && deps.prefetchOf(app.appId)
  if (!app || !source) throw UNKNOWN
  const fields = { ...request.query, ...request.body }
  const { clientAddress, requestId, traceparent } = recordOf(request.raw)
  const { code = '', token = '', appid = app.appId } = fields
  if ((code === '') === (token === '')) throw ONE_OF_TWO
  if (appid !== app.appId) throw OTHER_APP
  await source.limiter.hit(networkKey(clientAddress))
  const user =
    code === ''
      ? deps.prefetchUsers.byToken(app, token)
      : await deps.prefetchUsers.byCode(app, code, { requestId, traceparent })
  const passed = PASSED_ON.flatMap((name) => (fields[name] === undefined ? [] : [[name, fields[name]] as const]))
  const { text, json } = await ask(deps, source, user, {
    headers: { ...identityOf(user), 'x-request-id': requestId, traceparent },
    json: JSON.stringify({ appid: app.appId, ...Object.fromEntries(passed) })
  })
  const type = json === null || json === undefined ? 'text/plain' : 'application/json'
  return reply.header('cache-control', 'no-store').type(`${type}; charset=utf-8`).send(text)
}

async function ask(
  { log }: PrefetchDeps,
  source: PrefetchSource,
  { appId, openId }: PrefetchUser,
  call: { readonly headers: Readonly<Record<string, string>>; readonly json: string }
): Promise<UpstreamAnswer> {
  const fail = (reason: string, target: string, error: ApiError) => {
    log.warn({ event: 'prefetch_failed', app: appId, reason, target }, 'the backend gave no data for a pre-fetch')
    return error
  }
  try {
    const answer = await source.ask({ ...call, key: openId, maxBytes: MAX_ANSWER_BYTES })
    if (answer.status < 200 || answer.status > 299) throw fail(`status ${answer.status}`, answer.target, INVALID)
    if (!answer.isUtf8) throw fail('the answer is not UTF-8, or compressed', answer.target, INVALID)
    return answer
  } catch (error) {
    if (!(error instanceof CallFailure)) throw error
    const { reason, target } = error
    if (reason === 'timeout') throw fail(reason, target, TIMEOUT)
    throw fail(reason, target, reason === 'the answer is too large' ? INVALID : UNAVAILABLE)
  }
}

/** The identity headers of a proxied request. */
function identityOf({ appId, openId, unionId, userId, sessionId }: PrefetchUser): Record<string, string> {
  return {
    'x-openid': openId,
    'x-appid': appId,
    ...(userId === null ? {} : { 'x-user-id': userId }),
    ...(sessionId === null ? {} : { 'x-session-id': sessionId }),
    ...(unionId === null ? {} : { 'x-unionid': unionId })
  }
}
