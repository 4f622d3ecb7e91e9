/** POST /v1/pay/params and /v1/pay/request: payments with the merchant keys of a mini-program. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError, type ErrorCode } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { PayAnswer, PayTarget } from '../platforms/pay-port.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import type { PayResult } from '../telemetry/metrics.ts'
import { AppId, expectApp, type SubjectDeps } from './subject.ts'

export interface PayDeps extends Pick<SubjectDeps, 'findApp'> {
  readonly platforms: Pick<Platforms, 'require'>
  readonly metrics: { payCalled(appId: string, result: PayResult): void }
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
const SIGN_TYPES = ['RSA', 'MD5', 'HMAC-SHA256'] as const

const ParamsBody = Type.Object({
  appid: AppId,
  prepay_id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,128}$', description: 'As the order returned it.' }),
  sign_type: Type.Optional(
    Type.Unsafe<(typeof SIGN_TYPES)[number]>({
      type: 'string',
      enum: [...SIGN_TYPES],
      description: '`RSA` for an order of API v3 (default); `MD5` or `HMAC-SHA256` for one of API v2.'
    })
  )
})

const Params = Type.Object(
  {
    timeStamp: Type.String({ description: 'Seconds since the epoch.' }),
    nonceStr: Type.String(),
    package: Type.String({ description: '`prepay_id=…`' }),
    signType: Type.Unsafe<(typeof SIGN_TYPES)[number]>({ type: 'string', enum: [...SIGN_TYPES] }),
    paySign: Type.String()
  },
  { additionalProperties: false, description: 'The arguments of wx.requestPayment, all of them text.' }
)

const RequestBody = Type.Object({
  appid: AppId,
  method: Type.Unsafe<(typeof METHODS)[number]>({ type: 'string', enum: [...METHODS], description: 'HTTP method.' }),
  path: Type.String({ maxLength: 2048, description: 'Path and query, such as `/v3/pay/transactions/jsapi`.' }),
  body: Type.Optional(
    Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.String()], {
      description: 'The JSON of the call: an object, or its text, which is sent byte for byte.'
    })
  )
})

const NO_MERCHANT = new ApiError(
  'not_found',
  'No merchant is configured for this mini-program (apps[].pay). Virtual payment is signed by /v1/sign.'
)
const REFUSALS: Readonly<Record<Exclude<PayTarget, 'plain'>, ApiError>> = {
  ambiguous: new ApiError('bad_path', 'The path is not in its canonical form. Send it plain and percent-encoded.'),
  foreign: new ApiError(
    'forbidden',
    'Only paths below /v3/ of the pay API can be called. Virtual payment (/xpay/) is called through /wxapi and signed by /v1/sign.'
  ),
  certificates: new ApiError('forbidden', 'The gateway fetches and keeps the platform certificates itself.'),
  unverifiable: new ApiError(
    'forbidden',
    'Files of the pay API cannot be sent or fetched: their transfer is not signed.'
  )
}
const BODY_OF_GET = new ApiError(
  'invalid_request',
  'A GET of the pay API has no body: put its parameters into the query.'
)
const NOT_TEXT = new ApiError('invalid_request', '"body" holds half a surrogate pair, which has no UTF-8 bytes.')

const TOO_DEEP = new ApiError('invalid_request', '"body" is nested too deeply.')

export function addPayParams(app: FastifyInstance, deps: PayDeps): void {
  const schema = {
    operationId: 'signPayment',
    summary: 'Sign the arguments of wx.requestPayment',
    description:
      'For a prepay_id of this merchant. Virtual payment (wx.requestVirtualPayment) is signed by `/v1/sign`.',
    tags: ['pay'],
    body: ParamsBody,
    response: withProblems({ 200: Params }, ['not_found'])
  }
  app.post<{ Body: Static<typeof ParamsBody> }>('/pay/params', { schema }, async (request) => {
    const { appid, prepay_id, sign_type = 'RSA' } = request.body
    const wxApp = expectMerchant(deps, request, appid)
    return deps.platforms.require(wxApp.appId, 'pay').params(wxApp.appId, wxApp.pay, prepay_id, sign_type)
  })
}

export function addPayRequest(app: FastifyInstance, deps: PayDeps): void {
  const anything = { 'application/json': { schema: {} } }
  const answer = { description: 'The answer of the pay API, with its status and body.', content: anything }
  const schema = {
    operationId: 'callPayApi',
    summary: 'Call the pay API, signed by the merchant',
    description:
      'Sent at most once; the answer is verified. Repeat a call with the same `out_trade_no`: the pay API then answers for the same order.',
    tags: ['pay'],
    body: RequestBody,
    response: withProblems({ 200: answer, default: answer }, [
      'bad_path',
      'not_found',
      'upstream_invalid',
      'wechat_misconfigured',
      'wechat_unavailable'
    ])
  }
  app.post<{ Body: Static<typeof RequestBody> }>('/pay/request', { schema }, async (request, reply) => {
    const { appid, method, path, body } = request.body
    const wxApp = expectMerchant(deps, request, appid)
    const pay = deps.platforms.require(wxApp.appId, 'pay')
    const verdict = pay.judge(path)
    if (verdict !== 'plain') throw REFUSALS[verdict]
    if (request.audit) request.audit.path = path.split('?', 1)[0]?.slice(0, 200) ?? null
    const text = bodyText(body)
    if (method === 'GET' && text !== '') throw BODY_OF_GET
    const sent = await counted(deps, wxApp.appId, () => pay.request(wxApp.pay, { method, target: path, body: text }))
    return passOn(reply, sent)
  })
}

type Merchant = AppConfig & { readonly pay: NonNullable<AppConfig['pay']> }

function expectMerchant(deps: PayDeps, request: FastifyRequest, appId: string): Merchant {
  const app = expectApp(deps, request, appId)
  if (!hasMerchant(app)) throw NO_MERCHANT
  return app
}

function hasMerchant(app: AppConfig): app is Merchant {
  return app.pay !== null
}

function bodyText(body: Static<typeof RequestBody>['body']): string {
  if (body === undefined) return ''
  const text = typeof body === 'string' ? body : jsonText(body)
  if (!text.isWellFormed()) throw NOT_TEXT
  return text
}

/** JSON.stringify recurses: a deep object exceeds the stack. */
function jsonText(body: object): string {
  try {
    return JSON.stringify(body)
  } catch {
    throw TOO_DEEP
  }
}

const RESULTS: Partial<Record<ErrorCode, PayResult>> = {
  upstream_invalid: 'unverified',
  wechat_unavailable: 'unavailable',
  wechat_misconfigured: 'misconfigured'
}

async function counted({ metrics }: PayDeps, appId: string, call: () => Promise<PayAnswer>): Promise<PayAnswer> {
  try {
    const answer = await call()
    metrics.payCalled(appId, answer.status < 300 ? 'ok' : answer.status < 500 ? 'refused' : 'failed')
    return answer
  } catch (error) {
    const result = error instanceof ApiError ? RESULTS[error.code] : undefined
    if (result !== undefined) metrics.payCalled(appId, result)
    throw error
  }
}

function passOn(reply: FastifyReply, { status, contentType, body }: PayAnswer): FastifyReply {
  reply.code(status)
  return body.length === 0 ? reply.send() : reply.type(contentType ?? 'application/json').send(body)
}
