/** Calls api.weixin.qq.com for logins, session_keys and phone numbers. */
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../clock.ts'
import type { ApiError } from '../../errors.ts'
import type { Tracer } from '../../http/tracer.ts'
import type { Store } from '../../store/port.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ChannelKey, LoginExchange, Phone, PlatformApp } from '../port.ts'
import { createSigner, type Signer } from './api-signature/signer.ts'
import { type ApiTokens, createApiTokens } from './api-tokens.ts'
import type { WeChatAddress } from './bases.ts'
import { readUserKeys } from './channel.ts'
import { readErrcode, refusal, type WeChatAnswer } from './errcodes.ts'
import { isSessionKey } from './open-data-cipher.ts'
import { TransportFailure } from './send-once.ts'
import type { TokenSealer } from './shared-token.ts'
import { loginStateSignature } from './signatures.ts'
import { createTransport, unavailable, type WeChatCall } from './transport.ts'

const ID = /^[A-Za-z0-9_-]{6,128}$/
/** The call must be a GET. */
const GET_REQUIRED = 43001
/** WeChat's codes for a session_key that is not, or no longer, the user's. */
const NO_LONGER_VALID: ReadonlySet<number> = new Set([87007, 87009])

export interface WeChatOptions extends WeChatAddress {
  /** Milliseconds for a whole call, from connecting to the last byte. */
  readonly timeout: number
  /** Resolves the names of the API bases or of the proxy. */
  readonly lookup: LookupFunction
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly tracer?: Pick<Tracer, 'calls'>
  /** Called for every call with the access token of an app. */
  readonly onCall?: (appId: string, path: string) => void
  /** Encrypts the access token for the store; without it instances do not share one. */
  readonly sealToken?: TokenSealer
}

export interface WeChatClient {
  /** GET /sns/jscode2session. Never repeats the call once the code may be spent. */
  login(app: PlatformApp, code: string): Promise<LoginExchange>
  /** GET /wxa/checksession with the login-state signature of an empty body. */
  checkSession(app: PlatformApp, openId: string, sessionKey: string): Promise<boolean>
  /** GET /wxa/resetusersessionkey. Returns the new key; throws session_key_stale when WeChat no
   *  longer accepts the old one. */
  resetSession(app: PlatformApp, openId: string, sessionKey: string): Promise<string>
  /** POST /wxa/business/getuserphonenumber, bound to the openid. */
  phoneNumber(app: PlatformApp, openId: string, code: string): Promise<Phone>
  /** /wxa/business/getuserencryptkey. WeChat's pages disagree on the method: POST first, GET when
   *  WeChat asks for it. */
  userKeys(app: PlatformApp, openId: string, sessionKey: string): Promise<readonly ChannelKey[]>
  /** POST /cgi-bin/openapi/quota/get. Returns the answer whatever its errcode. */
  quota(app: PlatformApp, path: string): Promise<WeChatAnswer>
  readonly apiTokens: ApiTokens
  readonly signer: Signer
  close(): Promise<void>
}

export function createWeChat(options: WeChatOptions): WeChatClient {
  const { log, clock } = options
  const transport = createTransport(options)
  const apiTokens = createApiTokens({ ...options, transport })
  const signer = createSigner(clock)

  /** The error for an invalid answer. It names the call and holds no part of the answer. */
  function malformed(path: string, reason: string): ApiError {
    log.warn({ call: path, reason }, 'WeChat gave no valid answer')
    return unavailable(new TransportFailure(reason, true))
  }

  function callWithToken(app: PlatformApp, call: WeChatCall): Promise<WeChatAnswer> {
    options.onCall?.(app.appId, call.path)
    return apiTokens.withAccessToken(app, async (token, deadline) => {
      const body = call.body === undefined ? null : JSON.stringify(call.body)
      const sealed = signer.seal(app, call, new URLSearchParams(call.query).toString(), body)
      const query = sealed === null ? call.query : {}
      return transport.call(
        { ...call, query: { access_token: token, ...query }, ...(sealed === null ? {} : { sealed }) },
        deadline
      )
    })
  }

  function callWithSignature(
    app: PlatformApp,
    path: string,
    openId: string,
    sessionKey: string,
    method: WeChatCall['method'] = 'GET'
  ): Promise<WeChatAnswer> {
    const signature = loginStateSignature(sessionKey, '')
    const query = { openid: openId, signature, sig_method: 'hmac_sha256' }
    return callWithToken(app, { method, path, query })
  }

  return {
    apiTokens,
    signer,

    async login(app, code): Promise<LoginExchange> {
      const path = '/sns/jscode2session'
      const query = { appid: app.appId, secret: app.secret, js_code: code, grant_type: 'authorization_code' }
      const answer = await transport.call({ method: 'GET', path, query }, transport.deadline())
      if (readErrcode(answer) !== 0) throw refusal(log, 'login', app.appId, answer)
      const { openid: openId, unionid, session_key: sessionKey } = answer
      // WeChat sends an empty unionid when the user has none.
      const unionId = unionid === undefined || unionid === null || unionid === '' ? null : unionid
      if (!isId(openId)) throw malformed(path, 'no openid')
      if (unionId !== null && !isId(unionId)) throw malformed(path, 'bad unionid')
      if (!isSessionKey(sessionKey)) throw malformed(path, 'bad session_key')
      return { openId, unionId, sessionKey }
    },

    async checkSession(app, openId, sessionKey): Promise<boolean> {
      const answer = await callWithSignature(app, '/wxa/checksession', openId, sessionKey)
      const errcode = readErrcode(answer)
      if (errcode === 0) return true
      if (NO_LONGER_VALID.has(errcode)) return false
      throw refusal(log, 'session', app.appId, answer)
    },

    async resetSession(app, openId, sessionKey): Promise<string> {
      const path = '/wxa/resetusersessionkey'
      const answer = await callWithSignature(app, path, openId, sessionKey)
      if (readErrcode(answer) !== 0) throw refusal(log, 'session', app.appId, answer)
      const { openid, session_key: newKey } = answer
      if (openid !== openId) throw malformed(path, 'another openid')
      if (!isSessionKey(newKey)) throw malformed(path, 'bad session_key')
      return newKey
    },

    async phoneNumber(app, openId, code): Promise<Phone> {
      const path = '/wxa/business/getuserphonenumber'
      const answer = await callWithToken(app, { method: 'POST', path, query: {}, body: { code, openid: openId } })
      if (readErrcode(answer) !== 0) throw refusal(log, 'phone', app.appId, answer)
      const phone = readPhone(answer.phone_info, app.appId)
      if (!phone) throw malformed(path, 'no phone number')
      return phone
    },

    async userKeys(app, openId, sessionKey) {
      const path = '/wxa/business/getuserencryptkey'
      const posted = await callWithSignature(app, path, openId, sessionKey, 'POST')
      const isRefused = readErrcode(posted) === GET_REQUIRED
      const answer = isRefused ? await callWithSignature(app, path, openId, sessionKey) : posted
      if (readErrcode(answer) !== 0) throw refusal(log, 'session', app.appId, answer)
      const keys = readUserKeys(answer.key_info_list, clock.now())
      if (keys === null) throw malformed(path, 'bad key_info_list')
      return keys
    },

    async quota(app, path) {
      const call = { method: 'POST', path: '/cgi-bin/openapi/quota/get', query: {}, body: { cgi_path: path } } as const
      const answer = await callWithToken(app, call)
      if (readErrcode(answer) !== 0) refusal(log, 'quota', app.appId, answer)
      return answer
    },

    close: () => transport.close()
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && ID.test(value)
}

/** Reads WeChat's `phone_info`, also from decrypted open data. Null for anything else,
 *  including a number issued to another mini-program. */
export function readPhone(info: unknown, appId: string): Phone | null {
  if (typeof info !== 'object' || info === null) return null
  const { phoneNumber, purePhoneNumber, countryCode, watermark } = info as Record<string, unknown>
  if (!isNumberText(phoneNumber) || !isNumberText(purePhoneNumber)) return null
  // Older answers have a number here.
  const country = typeof countryCode === 'number' ? String(countryCode) : countryCode
  if (typeof country !== 'string' || !/^\+?\d{1,4}$/.test(country)) return null
  if (typeof watermark !== 'object' || watermark === null || !('appid' in watermark)) return null
  if (watermark.appid !== appId) return null
  return { phoneNumber, purePhoneNumber, countryCode: country.replace('+', '') }
}

function isNumberText(value: unknown): value is string {
  return typeof value === 'string' && /^\+?[\d -]{4,24}$/.test(value)
}
