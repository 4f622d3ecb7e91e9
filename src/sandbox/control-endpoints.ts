/** The sandbox's own endpoints under /sandbox/: codes, faults, open data, users, the clock and
 *  the call log. */
import { createHash } from 'node:crypto'
import type { AccessTokenOffice } from './access-tokens.ts'
import { type Answer, control } from './answers.ts'
import type { ApiSignatures } from './api-signatures.ts'
import type { CallLog } from './call-log.ts'
import type { Codes } from './codes.ts'
import { FAULT_WORDS, type FaultPlan, parseFault } from './faults.ts'
import { encryptOpenData } from './open-data.ts'
import { addMerchant, changePlatform, planAnswerFaults, settleAndNotify, showPlatform } from './pay/control.ts'
import type { PayWorld } from './pay/endpoints.ts'
import type { People } from './people.ts'
import { pushEvent } from './push-control.ts'
import type { Quotas } from './quotas.ts'
import { type SandboxRequest, text } from './request.ts'
import type { UserKeys } from './user-keys.ts'
import { phoneInfo } from './wechat-endpoints.ts'

export interface ControlledWorld {
  readonly people: People
  readonly codes: Codes
  readonly userKeys: UserKeys
  readonly quotas: Quotas
  readonly accessTokens: AccessTokenOffice
  readonly apiSignatures: ApiSignatures
  readonly faults: FaultPlan
  readonly calls: CallLog
  readonly pay: PayWorld
  /** Time of the sandbox: the clock plus the advances of /sandbox/clock. */
  readonly now: () => number
  /** Milliseconds. */
  readonly advanceClock: (by: number) => void
  /** Restores the initial state. */
  readonly reset: () => void
}

type Fields = Readonly<Record<string, unknown>>
type Endpoint = (fields: Fields, request: SandboxRequest) => Answer | Promise<Answer>

const NAME = /^[A-Za-z0-9_]{1,64}$/
const WHICH_USER = 'user must be 1 to 64 letters, digits or underscores, or openid and appid those of a known user'
const MAX_MINTED = 10_000
const YEAR = 366 * 86_400_000

/** Null for a path outside /sandbox/ and /livez. */
export function createControlEndpoints(
  world: ControlledWorld
): (request: SandboxRequest) => Answer | Promise<Answer> | null {
  const endpoints: Readonly<Record<string, Endpoint>> = {
    'GET /livez': () => control(200, { status: 'ok' }),
    'POST /sandbox/codes': (fields) => mintLoginCodes(world, fields),
    'POST /sandbox/phone-codes': (fields) => mintPhoneCode(world, fields),
    'POST /sandbox/open-data': (fields) => openData(world, fields),
    'POST /sandbox/session-keys': (fields) => changeSessionKey(world, fields),
    'POST /sandbox/user-keys': (fields) => latestUserKey(world, fields),
    'POST /sandbox/users': (fields) => changeUser(world, fields),
    'POST /sandbox/access-tokens': (fields) => changeAccessTokens(world, fields),
    'POST /sandbox/clock': (fields) => advance(world, fields),
    'POST /sandbox/faults': (fields) => planFault(world, fields),
    'GET /sandbox/faults': () => control(200, { faults: world.faults.list().map(show), words: FAULT_WORDS }),
    'DELETE /sandbox/faults': () => after(world.faults.clear),
    'GET /sandbox/calls': (_fields, { query }) =>
      control(200, { ...world.calls.counts(), calls: world.calls.list(query.get('path') ?? undefined) }),
    'POST /sandbox/api-signature': (fields) => demandSignatures(world, fields),
    'DELETE /sandbox/calls': () => after(world.calls.clear),
    'POST /sandbox/push': (fields) => pushEvent(world, fields),
    'POST /sandbox/pay/merchants': (fields) => addMerchant(world.pay, fields),
    'POST /sandbox/pay/notices': (fields) => settleAndNotify(world.pay, fields),
    'POST /sandbox/pay/answers': (fields) => planAnswerFaults(world.pay, fields),
    'GET /sandbox/pay/platform': () => control(200, showPlatform(world.pay.platform)),
    'POST /sandbox/pay/platform': (fields) => changePlatform(world.pay, fields),
    'POST /sandbox/reset': () => after(world.reset)
  }

  return (request) => {
    if (!/^\/(?:sandbox(?:\/|$)|livez$)/.test(request.path)) return null
    const key = `${request.method} ${request.path}`
    const endpoint = Object.hasOwn(endpoints, key) ? endpoints[key] : undefined
    if (!endpoint) return control(404, { error: 'no such endpoint', endpoints: Object.keys(endpoints) })
    if (request.bodyBytes > 0 && request.json === null) return wrong('the body must be a JSON object, at most 1 MiB')
    return endpoint(request.json ?? {}, request)
  }
}

function wrong(error: string): Answer {
  return control(400, { error })
}

function after(action: () => void): Answer {
  action()
  return control(200, { ok: true })
}

/** A whole number from `least` to `most`; `otherwise` without the field; null for any other
 *  value. */
function whole(fields: Fields, name: string, least: number, most: number, otherwise: number): number | null {
  const value = fields[name]
  if (value === undefined) return otherwise
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most ? value : null
}

function demandSignatures({ apiSignatures }: ControlledWorld, fields: Fields): Answer {
  const [appId, symmetricKey] = [text(fields, 'appid'), text(fields, 'symmetricKey')]
  const [symmetricKeySn, publicKey] = [text(fields, 'symmetricKeySn'), text(fields, 'publicKey')]
  const key = appId === '' ? null : apiSignatures.demand({ appId, symmetricKey, symmetricKeySn, publicKey })
  return key === null
    ? wrong('send appid, symmetricKey (32 bytes in Base64), symmetricKeySn and publicKey (PEM)')
    : control(201, key)
}

function mintLoginCodes(world: ControlledWorld, fields: Fields): Answer {
  const name = userOf(world, fields)
  const appId = text(fields, 'appid') || null
  const ttl = whole(fields, 'ttl', 1, YEAR, 300_000)
  const count = whole(fields, 'count', 1, MAX_MINTED, 1)
  if (name === null) return wrong(WHICH_USER)
  if (ttl === null) return wrong('ttl must be whole milliseconds')
  if (count === null) return wrong(`count must be 1 to ${MAX_MINTED}`)
  const codes = Array.from({ length: count }, () => world.codes.mint({ kind: 'login', name, appId, ttl }))
  return control(201, { code: codes[0], codes, expires_in: ttl / 1000 })
}

function mintPhoneCode(world: ControlledWorld, fields: Fields): Answer {
  const name = userOf(world, fields)
  const appId = text(fields, 'appid') || null
  const ttl = whole(fields, 'ttl', 1, YEAR, 300_000)
  if (name === null) return wrong(WHICH_USER)
  if (ttl === null) return wrong('ttl must be whole milliseconds')
  const phone = Object.fromEntries(
    ['phoneNumber', 'purePhoneNumber', 'countryCode']
      .filter((field) => fields[field] !== undefined)
      .map((field) => [field, fields[field]])
  )
  return control(201, {
    code: world.codes.mint({ kind: 'phone', name, appId, ttl, phone }),
    phone_info: phoneInfo(name, phone)
  })
}

/** Name of the user given by `user`, or by `openid` and `appid`. */
function userOf(world: ControlledWorld, fields: Fields): string | null {
  const name = text(fields, 'user')
  if (name !== '') return NAME.test(name) ? name : null
  return world.people.byOpenId(text(fields, 'appid'), text(fields, 'openid'))?.name ?? null
}

function openData(world: ControlledWorld, fields: Fields): Answer {
  const appId = text(fields, 'appid')
  const name = userOf(world, fields)
  if (appId === '' || name === null) return wrong('appid and user (or openid) are needed')
  const { openId, unionId } = world.people.person(appId, name)
  const keys = world.people.sessionKeys(appId, openId)
  const key = fields.key === 'previous' ? keys.previous : keys.current
  if (key === null) return control(409, { error: 'the user has no such session_key; log in first' })
  const given = fields.data
  if (given !== undefined && (typeof given !== 'object' || given === null)) return wrong('data must be an object')
  const watermark = { timestamp: Math.floor(world.now() / 1000), appid: appId }
  const profile = { nickName: name, gender: 0, language: 'zh_CN', city: '', province: '', country: '', avatarUrl: '' }
  const sensitive = fields.kind === 'phone' ? phoneInfo(name) : { openId, ...profile, unionId }
  const rawData = text(fields, 'rawData') || JSON.stringify(given ?? profile)
  const json = JSON.stringify({ ...(given ?? sensitive), watermark, ...watermarkOf(given) })
  const plaintext = fields.plaintext === undefined ? json : Buffer.from(text(fields, 'plaintext'), 'base64')
  return control(200, {
    ...encryptOpenData(key, plaintext),
    rawData,
    signature: createHash('sha1').update(rawData).update(key).digest('hex')
  })
}

/** A watermark in the given data replaces the correct one. */
function watermarkOf(data: unknown): { watermark?: unknown } {
  return typeof data === 'object' && data !== null && 'watermark' in data ? { watermark: data.watermark } : {}
}

function changeSessionKey(world: ControlledWorld, fields: Fields): Answer {
  const appId = text(fields, 'appid')
  const name = userOf(world, fields)
  if (appId === '' || name === null) return wrong('appid and user (or openid) are needed')
  const { openId } = world.people.person(appId, name)
  if (fields.action === 'expire') world.people.expireSessionKey(appId, openId)
  else if (fields.action === 'rotate') world.people.rotateSessionKey(appId, openId)
  else return wrong('action must be expire or rotate')
  return control(200, { ok: true })
}

/** The answer of wx.getUserCryptoManager().getLatestUserKey, which the phone gets from WeChat. */
function latestUserKey(world: ControlledWorld, fields: Fields): Answer {
  const { people, userKeys } = world
  const appId = text(fields, 'appid')
  const name = userOf(world, fields)
  if (appId === '' || name === null) return wrong('appid and user (or openid) are needed')
  const { openId } = people.person(appId, name)
  if (fields.roll === true) userKeys.roll(appId, openId)
  const [key] = userKeys.list(appId, openId)
  if (!key) return wrong('the user has no key')
  const { encryptKey, iv, version } = key
  return control(200, { encryptKey, iv, version, expireTime: Math.floor(world.now() / 1000) + userKeys.expiresIn(key) })
}

function changeUser(world: ControlledWorld, fields: Fields): Answer {
  const appId = text(fields, 'appid')
  const name = userOf(world, fields)
  const { unionid } = fields
  if (appId === '' || name === null) return wrong('appid and user (or openid) are needed')
  if (typeof unionid !== 'string') return wrong('unionid must be a text, empty for none')
  world.people.setUnionId(appId, name, unionid)
  return control(200, { ...world.people.person(appId, name) })
}

function changeAccessTokens(world: ControlledWorld, fields: Fields): Answer {
  const appId = text(fields, 'appid')
  if (appId === '') return wrong('appid is needed')
  if (fields.action === 'expire') world.accessTokens.expire(appId)
  else if (fields.action === 'kill') world.accessTokens.kill(appId)
  else return wrong('action must be expire (42001) or kill (40001)')
  return control(200, { ok: true })
}

function advance(world: ControlledWorld, fields: Fields): Answer {
  const by = whole(fields, 'advance', 0, YEAR, -1)
  if (by === null || by < 0) return wrong('advance must be whole milliseconds, at most a year')
  world.advanceClock(by)
  return control(200, { now: world.now() })
}

function planFault(world: ControlledWorld, fields: Fields): Answer {
  const parsed = parseFault(text(fields, 'fault'))
  if (parsed?.rest !== '') return wrong(`fault must be one of ${FAULT_WORDS.join(', ')}`)
  const times = fields.times === 'always' ? Number.POSITIVE_INFINITY : whole(fields, 'times', 1, 1_000_000, 1)
  const skip = whole(fields, 'skip', 0, 1_000_000, 0)
  if (times === null || skip === null) return wrong('times must be a whole number or "always", skip a whole number')
  const path = text(fields, 'path') || '*'
  if (path !== '*' && !path.startsWith('/')) return wrong('path must be a path of the WeChat API or *')
  const appId = text(fields, 'appid') || null
  world.faults.add({ path, fault: parsed.fault, appId, times, skip, after: fields.after === true })
  return control(201, { ok: true })
}

function show(planned: ReturnType<FaultPlan['list']>[number]): Fields {
  return { ...planned, times: Number.isFinite(planned.times) ? planned.times : 'always' }
}
