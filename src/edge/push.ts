/** GET and POST /wechat/push/{appid}: message push of the platform. An event is stored before it
 *  is acknowledged, and goes to the app's push upstream as JSON. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { acceptAnyContentType } from '../http/endpoints/any-content-type.ts'
import { PUBLIC, withProblems } from '../http/endpoints/openapi.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Users } from '../identity/users.ts'
import type { PushCapability, PushMessage, PushQuery, PushRefusal, PushReply, PushSettings } from '../platforms/port.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import type { Delivered, Delivery } from '../upstream/delivery.ts'
import { eventHeaders } from './event-headers.ts'

/** Bytes of a message; those of WeChat stay below a tenth of it. */
const MAX_MESSAGE = 512 * 1024

export interface PushDeps {
  readonly platforms: Pick<Platforms, 'require'>
  readonly users: Pick<Users, 'find'>
  readonly sessionEnding: Pick<SessionEnding, 'endAllSessions'>
  readonly clock: { now(): number }
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void }
  /** Undefined for an app without message push. */
  deliveryOf(appId: string): Delivery | undefined
  findApp(appId: string): AppConfig | undefined
}

const Params = Type.Object({ appid: Type.String({ description: 'AppID of the mini-program.' }) })
const Query = Type.Object({
  signature: Type.Optional(Type.String({ description: 'Of Token, timestamp and nonce.' })),
  timestamp: Type.Optional(Type.String({ description: 'Seconds since the epoch; at most five minutes off.' })),
  nonce: Type.Optional(Type.String()),
  echostr: Type.Optional(Type.String({ description: 'In a check of the URL.' })),
  encrypt_type: Type.Optional(Type.String({ description: '`aes` in safe and compatible mode.' })),
  msg_signature: Type.Optional(Type.String({ description: 'Covers the encrypted text as well.' }))
})
const text = (description: string) => ({ description, content: { 'text/plain': { schema: { type: 'string' } } } })

const REPLY = {
  description: '`success`, or a passive reply of the backend in the format and mode of the message.',
  content: {
    'text/plain': { schema: { type: 'string' } },
    'application/json': { schema: { type: 'object' } },
    'text/xml': { schema: { type: 'string' } }
  }
}

const UNKNOWN = new ApiError('not_found', 'No message push is configured for this appid (apps[].push).')
const UNSIGNED = new ApiError(
  'signature_invalid',
  'The request is not signed with the Token and EncodingAESKey of this mini-program within the last five minutes.'
)
const FULL = new ApiError('upstream_unavailable', 'Too many events wait for the backend. Send this one again.', {
  retryAfter: 5
})

interface Addressed {
  readonly push: PushCapability
  readonly settings: PushSettings
  readonly delivery: Delivery
}

type PushRoute = { Params: Static<typeof Params>; Querystring: PushQuery }

export function addPush(app: FastifyInstance, deps: PushDeps): void {
  app.register(async (scope) => {
    acceptAnyContentType(scope, 'string', MAX_MESSAGE)
    const common = { params: Params, querystring: Query, security: PUBLIC, tags: ['push'] }
    const checkSchema = {
      ...common,
      operationId: 'checkPushUrl',
      summary: 'Answers the URL check of message push',
      description: 'The console of WeChat sends it when the URL is saved.',
      response: withProblems({ 200: text('The echostr.') }, ['signature_invalid', 'not_found'])
    }
    scope.get<PushRoute>('/wechat/push/:appid', { schema: checkSchema }, async (request, reply) => {
      const { push, settings, delivery } = addressed(deps, request)
      const check = push.checkUrl(settings, request.query, deps.clock.now())
      if (check === null) throw UNSIGNED
      await delivery.claimNonce(check.nonce, 'check')
      return reply.type('text/plain; charset=utf-8').send(check.echo)
    })
    const receive = {
      ...common,
      operationId: 'receivePush',
      summary: 'Receives a message of message push',
      description: 'JSON or XML, in plain, compatible or safe mode.',
      response: withProblems({ 200: REPLY }, [
        'signature_invalid',
        'not_found',
        'body_too_large',
        'request_timeout',
        'upstream_unavailable',
        'store_unavailable'
      ])
    }
    scope.post<PushRoute>('/wechat/push/:appid', { schema: receive }, (request, reply) =>
      onMessage(deps, request, reply)
    )
  })
}

async function onMessage(
  deps: PushDeps,
  request: FastifyRequest<PushRoute>,
  reply: FastifyReply
): Promise<FastifyReply> {
  const target = addressed(deps, request)
  const { push, settings } = target
  const body = typeof request.body === 'string' ? request.body : ''
  const reading = push.read(settings, request.query, body, deps.clock.now())
  if (reading.refusal !== null) throw refuse(deps, settings.appId, reading.refusal)
  const { message } = reading
  // The signature of plain mode covers no body: it serves one message. Every other signed nonce is
  // claimed too, since its signature would be valid in plain mode.
  const isClaimed = await target.delivery.claimNonce(message.nonce, message.key)
  if (!isClaimed && !message.isEncrypted) throw refuse(deps, settings.appId, 'replay')
  if (message.revokedOpenId !== null) await onRevoked(deps, target, message.key, message.revokedOpenId)
  const delivered = await deliver(deps, target, message, request)
  if (delivered.outcome === 'full') throw FULL
  const answer = replyOf(deps, target, message, delivered)
  return reply.type(answer.contentType).send(answer.body)
}

function addressed({ platforms, findApp, deliveryOf }: PushDeps, request: FastifyRequest<PushRoute>): Addressed {
  const app = findApp(request.params.appid)
  const delivery = deliveryOf(request.params.appid)
  if (!app?.push || !delivery) throw UNKNOWN
  const { token, encodingAesKey } = app.push
  const push = platforms.require(app.appId, 'push')
  return { push, settings: { appId: app.appId, token, encodingAesKey }, delivery }
}

/** The answer names no reason: it would help a forger. */
function refuse({ log }: PushDeps, app: string, reason: PushRefusal | 'replay'): ApiError {
  log.info({ event: 'push_refused', app, reason }, 'a message of message push was refused')
  return UNSIGNED
}

/** Before the event is stored: an event that is known has ended the sessions, and a repeat of it
 *  does not end those of a later login. */
async function onRevoked(
  { sessionEnding, log }: PushDeps,
  { settings, delivery }: Addressed,
  key: string,
  openId: string
): Promise<void> {
  const { appId } = settings
  await delivery.once(key, async () => {
    if (await sessionEnding.endAllSessions(appId, openId, true))
      log.info({ event: 'authorization_revoked', app: appId }, 'a user revoked the authorization: all sessions ended')
  })
}

async function deliver(
  deps: PushDeps,
  { delivery, settings }: Addressed,
  message: PushMessage,
  request: FastifyRequest
) {
  const { openId, key, json } = message
  const { appId } = settings
  const headers = await eventHeaders(deps, request, { appId, key, openId })
  return delivery.deliver({ key, lane: openId ?? '-', headers, json })
}

function replyOf(
  { log, clock }: PushDeps,
  { push, settings }: Addressed,
  message: PushMessage,
  delivered: Delivered
): PushReply {
  const now = clock.now()
  const text = delivered.outcome === 'delivered' ? delivered.text : ''
  const reply = push.reply(settings, message, text, now)
  if (reply !== null) return reply
  log.warn(
    { app: settings.appId, event: message.event },
    'the answer to an event is no passive reply; WeChat gets "success"'
  )
  return push.reply(settings, message, '', now) ?? { contentType: 'text/plain; charset=utf-8', body: '' }
}
