/** POST /wechat/pay/notify/{appid}: results of the pay API. A notice is stored before it is
 *  acknowledged, and goes to the app's pay upstream as JSON. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError, type ErrorCode, StoreError } from '../errors.ts'
import { acceptAnyContentType } from '../http/endpoints/any-content-type.ts'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import { recordOf } from '../http/request.ts'
import type { Users } from '../identity/users.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import type { Delivery } from '../upstream/delivery.ts'
import { eventHeaders } from './event-headers.ts'

/** Bytes of a notice; those of WeChat stay below a tenth of it. */
const MAX_NOTICE = 128 * 1024

export interface PayNoticesDeps {
  readonly platforms: Pick<Platforms, 'require'>
  readonly users: Pick<Users, 'find'>
  readonly log: { warn(fields: object, message: string): void }
  readonly metrics: { payNoticeRefused(appId: string): void }
  /** Undefined for an app without a merchant. */
  payDeliveryOf(appId: string): Delivery | undefined
  findApp(appId: string): AppConfig | undefined
}

const Params = Type.Object({ appid: Type.String({ description: 'AppID of the mini-program.' }) })
const Failure = Type.Object(
  { code: Type.Literal('FAIL'), message: Type.String() },
  { description: 'The notice was not stored; the pay API sends it again.' }
)

const UNKNOWN = new ApiError('not_found', 'No merchant is configured for this appid (apps[].pay).')
const UNSIGNED = new ApiError(
  'signature_invalid',
  'The notice is not signed by WeChat Pay for this merchant and mini-program within the last five minutes.'
)

type NoticeRoute = { Params: Static<typeof Params> }

export function addPayNotices(app: FastifyInstance, deps: PayNoticesDeps): void {
  app.register(async (scope) => {
    acceptAnyContentType(scope, 'buffer', MAX_NOTICE)
    const schema = {
      operationId: 'receivePayNotice',
      summary: 'Receives a notice of the pay API',
      description:
        'Verified, decrypted and stored; it goes to the pay upstream of the mini-program. A repeat is acknowledged.',
      params: Params,
      security: PUBLIC,
      tags: ['pay'],
      response: withProblems({ 204: Type.Null({ description: 'Stored, or known.' }), 503: Failure }, [
        'signature_invalid',
        'not_found',
        'body_too_large',
        'request_timeout'
      ])
    }
    scope.post<NoticeRoute>('/wechat/pay/notify/:appid', { schema }, (request, reply) => onNotice(deps, request, reply))
  })
}

async function onNotice(
  deps: PayNoticesDeps,
  request: FastifyRequest<NoticeRoute>,
  reply: FastifyReply
): Promise<FastifyReply> {
  const app = deps.findApp(request.params.appid)
  const delivery = deps.payDeliveryOf(request.params.appid)
  if (!app?.pay || !delivery) throw UNKNOWN
  const { appId, pay: merchant } = app
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const pay = deps.platforms.require(appId, 'pay')
  const notice = await pay.readNotice(appId, merchant, request.headers, body)
  if (typeof notice === 'string') {
    deps.metrics.payNoticeRefused(appId)
    deps.log.warn({ event: 'pay_notice_refused', app: appId, reason: notice }, 'a notice of the pay API was refused')
    throw UNSIGNED
  }
  const { key, lane, openId, json } = notice
  try {
    const headers = await eventHeaders(deps, request, { appId, key, openId })
    const { outcome } = await delivery.deliver({ key, lane, headers, json })
    if (outcome === 'full') return fail(request, reply, 'upstream_unavailable', 'too many notices wait for the backend')
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    deps.log.warn({ app: appId, err: error }, 'a notice of the pay API could not be stored')
    return fail(request, reply, 'store_unavailable', 'the notice could not be stored')
  }
  return reply.code(204).send()
}

/** The pay API reads this form, and repeats the notice after any 5xx. */
function fail(request: FastifyRequest, reply: FastifyReply, code: ErrorCode, message: string): FastifyReply {
  recordOf(request.raw).refused(code)
  return reply.code(503).type('application/json').send({ code: 'FAIL', message })
}
