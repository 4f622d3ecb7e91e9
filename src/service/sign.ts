/** POST /v1/sign: signs with session_key and with the key of virtual payment. */
import type { FastifyInstance } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { SESSION_KEY_STALE } from '../identity/open-data-reader.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import { AppId, expectApp, findUser, OpenId, type SubjectDeps } from './subject.ts'

export interface SignDeps extends SubjectDeps {
  readonly sessionKeys: Pick<SessionKeys, 'current'>
  readonly platforms: Pick<Platforms, 'require'>
}

const Body = Type.Object({
  appid: AppId,
  openid: OpenId,
  body: Type.String({ description: 'Exactly the text that is sent to WeChat; its UTF-8 bytes are signed.' }),
  uri: Type.Optional(
    Type.String({
      pattern: '^[!-"$->@-~]{1,256}$',
      description: 'Path without query, or `requestVirtualPayment`: asks for `pay_sig`.'
    })
  ),
  env: Type.Optional(
    Type.Union([Type.Literal(0), Type.Literal(1)], { description: '0: live (default), 1: sandbox. Only with `uri`.' })
  )
})

const Answer = Type.Object(
  {
    signature: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Login-state signature.' }),
    pay_sig: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Payment signature.' }))
  },
  { additionalProperties: false, description: 'In lower-case hex.' }
)

const NOT_TEXT = new ApiError('invalid_request', '"body" holds half a surrogate pair, which has no UTF-8 bytes.')
const ENV_ALONE = new ApiError('invalid_request', '"env" chooses the key of pay_sig: send "uri" too.')

export function addSign(app: FastifyInstance, deps: SignDeps): void {
  const schema = {
    operationId: 'sign',
    summary: 'Sign a request to WeChat with the session_key of a user',
    description: 'The login-state signature over exactly the bytes of `body`; with `uri` also that of virtual payment.',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale', 'store_unavailable'])
  }
  app.post<{ Body: Static<typeof Body> }>('/sign', { schema }, async (request) => {
    const { appid, openid, body, uri, env } = request.body
    const wxApp = expectApp(deps, request, appid)
    if (!body.isWellFormed()) throw NOT_TEXT
    if (env !== undefined && uri === undefined) throw ENV_ALONE
    const appKey = uri === undefined ? null : expectAppKey(wxApp, env ?? 0)
    await findUser(deps, request, wxApp, openid)
    const sessionKey = await deps.sessionKeys.current(wxApp.appId, openid)
    if (sessionKey === null) throw SESSION_KEY_STALE
    const signatures = deps.platforms.require(wxApp.appId, 'signatures')
    return {
      signature: signatures.loginState(sessionKey, body),
      ...(uri === undefined || appKey === null ? {} : { pay_sig: signatures.payment(appKey, uri, body) })
    }
  })
}

function expectAppKey({ virtualPay }: AppConfig, env: 0 | 1): string {
  const [key, place] = env === 0 ? [virtualPay?.appKey, 'appKey'] : [virtualPay?.sandboxAppKey, 'sandboxAppKey']
  if (key) return key
  throw new ApiError('invalid_request', `pay_sig needs apps[].virtualPay.${place} of this mini-program.`)
}
