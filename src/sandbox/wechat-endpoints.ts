/** The endpoints of api.weixin.qq.com that the sandbox implements. */
import { createHmac } from 'node:crypto'
import type { AccessTokenOffice } from './access-tokens.ts'
import { type Answer, image, refuse, succeed } from './answers.ts'
import type { ApiSignatures } from './api-signatures.ts'
import type { Codes, PhoneFields } from './codes.ts'
import { type People, type Person, phoneNumberOf } from './people.ts'
import type { Quotas } from './quotas.ts'
import { type SandboxRequest, text } from './request.ts'
import type { UserKeys } from './user-keys.ts'

export interface WeChatWorld {
  readonly people: People
  readonly codes: Codes
  readonly userKeys: UserKeys
  readonly accessTokens: AccessTokenOffice
  readonly apiSignatures: ApiSignatures
  readonly quotas: Quotas
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** The errcode with which WeChat refuses these credentials, or 0. */
  readonly checkApp: (appId: string, secret: string) => number
}

type Endpoint = (request: SandboxRequest) => Answer
/** A call with an access token, and the appid of that token. */
type AppEndpoint = (request: SandboxRequest, appId: string) => Answer

/** One transparent pixel. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=',
  'base64'
)

/** Answers any path. A path without an entry takes an access token and echoes the call. */
export function createWeChatEndpoints(world: WeChatWorld): Endpoint {
  const open: Readonly<Record<string, readonly ['GET' | 'POST', Endpoint]>> = {
    '/sns/jscode2session': ['GET', (request) => exchangeCode(world, request)],
    '/cgi-bin/token': ['GET', (request) => plainToken(world, request)],
    '/cgi-bin/stable_token': ['POST', (request) => stableToken(world, request)]
  }
  const withToken: Readonly<Record<string, readonly ['GET' | 'POST' | 'either', AppEndpoint]>> = {
    '/wxa/checksession': ['GET', (request, appId) => checkSession(world, request, appId)],
    '/wxa/resetusersessionkey': ['GET', (request, appId) => resetSessionKey(world, request, appId)],
    // WeChat's pages disagree on the method.
    '/wxa/business/getuserencryptkey': ['either', (request, appId) => encryptKeys(world, request, appId)],
    '/wxa/business/getuserphonenumber': ['POST', (request, appId) => phoneNumber(world, request, appId)],
    '/wxa/msg_sec_check': ['POST', (request, appId) => checkText(world, request, appId)],
    '/cgi-bin/message/subscribe/send': ['POST', (request, appId) => sendMessage(world, request, appId)],
    '/wxa/getwxacodeunlimit': ['POST', drawCode],
    '/cgi-bin/openapi/quota/get': ['POST', (request, appId) => quotaOf(world, request, appId)]
  }

  return (request) => {
    if (Object.hasOwn(open, request.path)) {
      const [method, endpoint] = open[request.path] ?? ['GET', () => refuse(-1)]
      return request.method === method ? endpoint(request) : wrongMethod(method)
    }
    const token = request.query.get('access_token') ?? ''
    if (token === '') return refuse(41001)
    const appId = world.accessTokens.check(token)
    if (typeof appId === 'number') return refuse(appId)
    const opened = world.apiSignatures.open(request, appId)
    if (typeof opened === 'number') return refuse(opened)
    if (!world.quotas.take(appId, request.path)) return refuse(45009)
    const answer = answerApp(opened ?? request, appId)
    return opened === null ? answer : world.apiSignatures.seal(answer, request.path, appId)
  }

  function answerApp(request: SandboxRequest, appId: string): Answer {
    const [method, endpoint] = Object.hasOwn(withToken, request.path)
      ? (withToken[request.path] ?? [request.method, echo])
      : [request.method, echo]
    if (method === 'either') return endpoint(request, appId)
    return request.method === method ? endpoint(request, appId) : wrongMethod(method)
  }
}

function wrongMethod(expected: string): Answer {
  return refuse(expected === 'GET' ? 43001 : 43002)
}

/** Errcode for missing and wrong credentials, in WeChat's order; 0 for valid ones. */
function refuseApp(world: WeChatWorld, appId: string, secret: string): number {
  if (appId === '') return 41002
  if (secret === '') return 41004
  return world.checkApp(appId, secret)
}

function exchangeCode(world: WeChatWorld, { query }: SandboxRequest): Answer {
  const appId = query.get('appid') ?? ''
  const refused = refuseApp(world, appId, query.get('secret') ?? '')
  if (refused !== 0) return refuse(refused)
  if (query.get('grant_type') !== 'authorization_code') return refuse(40002)
  const code = query.get('js_code') ?? ''
  if (code === '') return refuse(41008)
  const fault = world.codes.faultOf(code)
  if (fault?.kind === 'errcode') return refuse(fault.errcode)
  const verdict = world.codes.redeem('login', appId, code)
  if (verdict === 'used') return refuse(40163)
  if (typeof verdict === 'string') return refuse(40029)
  const { openId, unionId } = world.people.person(appId, verdict.name)
  const sessionKey = world.people.rotateSessionKey(appId, openId)
  return succeed({ session_key: sessionKey, openid: openId, ...(unionId === '' ? {} : { unionid: unionId }) })
}

function plainToken(world: WeChatWorld, { query }: SandboxRequest): Answer {
  if (query.get('grant_type') !== 'client_credential') return refuse(40002)
  const appId = query.get('appid') ?? ''
  const refused = refuseApp(world, appId, query.get('secret') ?? '')
  return refused === 0 ? succeed({ ...world.accessTokens.plain(appId) }) : refuse(refused)
}

function stableToken(world: WeChatWorld, { json }: SandboxRequest): Answer {
  if (json === null) return refuse(47001)
  if (text(json, 'grant_type') !== 'client_credential') return refuse(40002)
  const appId = text(json, 'appid')
  const refused = refuseApp(world, appId, text(json, 'secret'))
  if (refused !== 0) return refuse(refused)
  return succeed({ ...world.accessTokens.stable(appId, json.force_refresh === true) })
}

/** The user of a call with a login-state signature, or the errcode. The signature must be
 *  lower-case hex. */
function signedUser(world: WeChatWorld, { query }: SandboxRequest, appId: string): Person | number {
  const openId = query.get('openid') ?? ''
  const signature = query.get('signature') ?? ''
  if (openId === '' || signature === '') return 40097
  if (query.get('sig_method') !== 'hmac_sha256') return 87008
  const person = world.people.byOpenId(appId, openId)
  if (!person) return 40003
  const { current } = world.people.sessionKeys(appId, openId)
  if (current === null) return 87007
  return createHmac('sha256', current).update('').digest('hex') === signature ? person : 87009
}

function checkSession(world: WeChatWorld, request: SandboxRequest, appId: string): Answer {
  const user = signedUser(world, request, appId)
  // WeChat uses one errcode here for every key other than the current one.
  if (typeof user === 'number') return refuse(user === 87007 ? 87009 : user)
  return succeed({ errcode: 0, errmsg: 'ok' })
}

function resetSessionKey(world: WeChatWorld, request: SandboxRequest, appId: string): Answer {
  const user = signedUser(world, request, appId)
  if (typeof user === 'number') return refuse(user)
  const sessionKey = world.people.rotateSessionKey(appId, user.openId)
  return succeed({ errcode: 0, errmsg: 'ok', openid: user.openId, session_key: sessionKey })
}

function encryptKeys(world: WeChatWorld, request: SandboxRequest, appId: string): Answer {
  const user = signedUser(world, request, appId)
  if (typeof user === 'number') return refuse(user)
  const list = world.userKeys.list(appId, user.openId).map((key) => ({
    encrypt_key: key.encryptKey,
    iv: key.iv,
    version: key.version,
    expire_in: world.userKeys.expiresIn(key),
    create_time: Math.floor(key.createdAt / 1000)
  }))
  return succeed({ errcode: 0, errmsg: 'ok', key_info_list: list })
}

function phoneNumber(world: WeChatWorld, { json }: SandboxRequest, appId: string): Answer {
  if (json === null) return refuse(47001)
  const code = text(json, 'code')
  const openId = text(json, 'openid')
  const fault = world.codes.faultOf(code)
  if (fault?.kind === 'errcode') return refuse(fault.errcode)
  const isOwner = (name: string) => openId === '' || world.people.person(appId, name).openId === openId
  const verdict = world.codes.redeem('phone', appId, code, isOwner)
  if (verdict === 'other-app') return refuse(40013)
  if (typeof verdict === 'string') return refuse(40029)
  const info = phoneInfo(verdict.name, verdict.phone)
  const watermark = { timestamp: Math.floor(world.now() / 1000), appid: appId }
  return succeed({ errcode: 0, errmsg: 'ok', phone_info: { ...info, watermark } })
}

/** Number of a user; `fields` replace parts of it. */
export function phoneInfo(name: string, fields: PhoneFields = {}): Record<string, unknown> {
  const number = phoneNumberOf(name)
  return { phoneNumber: number, purePhoneNumber: number, countryCode: '86', ...fields }
}

function checkText(world: WeChatWorld, { json }: SandboxRequest, appId: string): Answer {
  if (json === null) return refuse(47001)
  if (!world.people.byOpenId(appId, text(json, 'openid'))) return refuse(40003)
  const isRisky = text(json, 'content').includes('sandbox-risky')
  const result = isRisky ? { suggest: 'risky', label: 20001 } : { suggest: 'pass', label: 100 }
  return succeed({ errcode: 0, errmsg: 'ok', result, detail: [], trace_id: `sandbox-${world.now()}` })
}

function sendMessage(world: WeChatWorld, { json }: SandboxRequest, appId: string): Answer {
  if (json === null) return refuse(47001)
  if (!world.people.byOpenId(appId, text(json, 'touser'))) return refuse(40003)
  if (text(json, 'template_id') === '') return refuse(40037)
  return succeed({ errcode: 0, errmsg: 'ok' })
}

/** An image on success, JSON on error: the caller cannot assume JSON. */
function drawCode({ json }: SandboxRequest): Answer {
  return json === null || text(json, 'scene') === '' ? refuse(40097) : image(PIXEL)
}

/** The quota of this day. The sandbox limits no rate, so its answer has no rate_limit. */
function quotaOf(world: WeChatWorld, { json }: SandboxRequest, appId: string): Answer {
  if (json === null) return refuse(47001)
  const path = text(json, 'cgi_path')
  if (!path.startsWith('/')) return refuse(76003)
  if (path.startsWith('/sns/')) return refuse(76022)
  return succeed({ errcode: 0, errmsg: 'ok', quota: world.quotas.of(appId, path) })
}

function echo(request: SandboxRequest): Answer {
  const query = Object.fromEntries([...request.query].filter(([name]) => name !== 'access_token'))
  const { method, path, bodyBytes, bodySha256 } = request
  return succeed({
    errcode: 0,
    errmsg: 'ok',
    echo: { method, path, query, body_bytes: bodyBytes, body_sha256: bodySha256 }
  })
}
