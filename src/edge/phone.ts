/** POST /auth/phone: stores the number behind a code of getPhoneNumber and makes the user bound. */
import type { FastifyInstance } from 'fastify'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { type OpenDataReader, SESSION_KEY_STALE } from '../identity/open-data-reader.ts'
import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { UserPhone, Users } from '../identity/users.ts'
import { MAX_OPEN_DATA, type Phone } from '../platforms/port.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { RateLimiter } from '../routing/rate-limiter.ts'
import { type Static, Type } from '../schema.ts'
import type { Log } from '../telemetry/log.ts'
import { principalOf } from './authenticated.ts'
import { Status } from './grant.ts'

export interface PhoneDeps {
  readonly users: Pick<Users, 'find' | 'bindPhone'>
  readonly loginLimiter: RateLimiter
  readonly platforms: Pick<Platforms, 'require'>
  readonly openData: Pick<OpenDataReader, 'decrypt'>
  readonly revocations: Pick<Revocations, 'markBound'>
  readonly log: Log
  findApp(appId: string): AppConfig | undefined
}

const Body = Type.Object(
  {
    code: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,512}$', description: 'Of getPhoneNumber.' })),
    encryptedData: Type.Optional(
      Type.String({ maxLength: MAX_OPEN_DATA, description: 'From base libraries before 2.21.2.' })
    ),
    iv: Type.Optional(Type.String({ maxLength: 64 }))
  },
  { description: '`code`, or `encryptedData` and `iv`. With all three, `code` is used.' }
)
type PhoneRequest = Static<typeof Body>

const Answer = Type.Object(
  {
    phone: Type.Object(
      { masked: Type.String({ description: 'Such as `138****0000`.' }), country_code: Type.String() },
      { additionalProperties: false }
    ),
    user: Type.Object({ id: Type.String(), status: Status }, { additionalProperties: false })
  },
  { additionalProperties: false, description: 'The number is stored.' }
)

const INCOMPLETE = new ApiError('invalid_request', 'Send the "code" from getPhoneNumber, or "encryptedData" and "iv".')
const NO_USER = new ApiError('session_revoked', 'The user of this session is no longer known. Log in again.')

export function addPhone(app: FastifyInstance, deps: PhoneDeps): void {
  const { users, loginLimiter } = deps
  const schema = {
    operationId: 'bindPhone',
    summary: 'Bind the phone number of the user',
    description: 'The answer holds the masked number only; a backend reads it from the service listener.',
    tags: ['user'],
    body: Body,
    response: withProblems({ 200: Answer }, [
      'phone_code_invalid',
      'session_key_stale',
      'rate_limited',
      'wechat_misconfigured',
      'wechat_unavailable'
    ])
  }
  app.post<{ Body: PhoneRequest }>('/auth/phone', { schema }, async (request, reply) => {
    const principal = principalOf(request)
    const { appId, openId } = principal
    const wxApp = deps.findApp(appId)
    // Check everything that can fail first: the code is single-use and billed.
    if (!wxApp || !(await users.find(appId, openId))) throw NO_USER
    await loginLimiter.hit(`phone:${appId}:${openId}`)
    const { purePhoneNumber, countryCode } = await readNumber(deps, wxApp, principal, request.body)
    const phone = { phoneNumber: purePhoneNumber, countryCode }
    const user = await users.bindPhone(appId, openId, phone)
    if (!user) throw NO_USER
    await announce(deps, principal)
    reply.header('cache-control', 'no-store')
    return {
      phone: { masked: maskPhone(phone), country_code: countryCode },
      user: { id: user.id, status: user.status }
    }
  })
}

function readNumber(deps: PhoneDeps, wxApp: AppConfig, principal: Principal, body: PhoneRequest): Promise<Phone> {
  const { code, encryptedData, iv } = body
  if (code !== undefined) return deps.platforms.require(wxApp.appId, 'phone').exchange(wxApp, principal.openId, code)
  if (encryptedData !== undefined && iv !== undefined) return readLegacy(deps, principal, { encryptedData, iv })
  throw INCOMPLETE
}

/** The data names no user: only this user's session_key ties it to them. */
async function readLegacy(
  { openData, platforms }: PhoneDeps,
  principal: Principal,
  sealed: { encryptedData: string; iv: string }
) {
  const { appId, openId } = principal
  const data = await openData.decrypt(appId, openId, sealed)
  const phone = platforms.require(appId, 'phone').read(data, appId)
  if (!phone) throw SESSION_KEY_STALE
  return phone
}

/** Issued tokens still carry `anonymous`. A failure here does not fail the request, since the
 *  number is stored and the code is spent: the other instances learn the status at the next
 *  refresh. */
async function announce({ revocations, log }: PhoneDeps, { appId, openId, userId }: Principal): Promise<void> {
  try {
    await revocations.markBound(appId, openId)
  } catch (error) {
    log.warn({ err: error, user: userId, app: appId }, 'other instances were not told that a user has become bound')
  }
}

/** `138****0000`, which the owner recognises. Always four stars, however many digits they
 *  replace. */
export function maskPhone({ phoneNumber }: UserPhone): string {
  const digits = phoneNumber.replace(/\D/g, '')
  const [head, tail] = digits.length >= 11 ? [3, 4] : digits.length >= 7 ? [2, 2] : [0, 1]
  return `${digits.slice(0, head)}****${digits.slice(digits.length - tail)}`
}
