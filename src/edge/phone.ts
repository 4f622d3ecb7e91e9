/** POST /auth/phone: the number behind a code of getPhoneNumber is stored, and the user counts as bound. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { SESSION_KEY_STALE } from '../identity/open-data-reader.ts'
import type { Principal } from '../identity/principal.ts'
import type { UserPhone } from '../identity/users.ts'
import { MAX_OPEN_DATA, type Phone } from '../platforms/port.ts'
import { principalOf } from './authenticated.ts'

/** The event of getPhoneNumber may carry all three; then the code counts. */
const Body = Type.Object({
  code: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,512}$' })),
  encryptedData: Type.Optional(Type.String({ maxLength: MAX_OPEN_DATA })),
  iv: Type.Optional(Type.String({ maxLength: 64 }))
})
type PhoneRequest = Static<typeof Body>

const INCOMPLETE = new ApiError(
  'invalid_request',
  'Send the "code" that getPhoneNumber gave, or "encryptedData" and "iv".'
)
const NO_USER = new ApiError('session_revoked', 'The user of this session is not known any more. Log in again.')

export function addPhone(app: FastifyInstance, parts: Parts): void {
  const { users, loginLimiter } = parts

  app.post<{ Body: PhoneRequest }>('/auth/phone', { schema: { body: Body } }, async (request, reply) => {
    const principal = principalOf(request)
    const { appId, openId } = principal
    const wxApp = parts.findApp(appId)
    // A code can be used once and costs money: nothing that could be known before may go wrong after.
    if (!wxApp || !(await users.find(appId, openId))) throw NO_USER
    await loginLimiter.hit(`phone:${appId}:${openId}`)
    const { purePhoneNumber, countryCode } = await readNumber(parts, wxApp, principal, request.body)
    const phone = { phoneNumber: purePhoneNumber, countryCode }
    const user = await users.bindPhone(appId, openId, phone)
    if (!user) throw NO_USER
    await announce(parts, principal)
    reply.header('cache-control', 'no-store')
    return {
      phone: { masked: maskPhone(phone), country_code: countryCode },
      user: { id: user.id, status: user.status }
    }
  })
}

function readNumber(parts: Parts, wxApp: AppConfig, principal: Principal, body: PhoneRequest): Promise<Phone> {
  const { code, encryptedData, iv } = body
  if (code !== undefined) return parts.platforms.require(wxApp.appId, 'phone').exchange(wxApp, principal.openId, code)
  if (encryptedData !== undefined && iv !== undefined) return readLegacy(parts, principal, { encryptedData, iv })
  throw INCOMPLETE
}

/** Base libraries before 2.21.2 have no code. The data names no user: that it was encrypted with this user's session_key is
 *  what ties it to them. */
async function readLegacy(
  { openData, platforms }: Parts,
  principal: Principal,
  sealed: { encryptedData: string; iv: string }
) {
  const { appId, openId } = principal
  const data = await openData.decrypt(appId, openId, sealed)
  const phone = platforms.require(appId, 'phone').read(data, appId)
  if (!phone) throw SESSION_KEY_STALE
  return phone
}

/** Tokens already out say `anonymous`. The number is stored by now and the code is spent: when the feed cannot be written,
 *  the other instances learn of it with the next refresh. */
async function announce({ revocations, log }: Parts, { appId, openId, userId }: Principal): Promise<void> {
  try {
    await revocations.markBound(appId, openId)
  } catch (error) {
    log.warn({ err: error, user: userId, app: appId }, 'other instances were not told that a user has become bound')
  }
}

/** Enough for its owner to recognise: `138****0000`. Four stars whatever they stand for. */
export function maskPhone({ phoneNumber }: UserPhone): string {
  const digits = phoneNumber.replace(/\D/g, '')
  const [head, tail] = digits.length >= 11 ? [3, 4] : digits.length >= 7 ? [2, 2] : [0, 1]
  return `${digits.slice(0, head)}****${digits.slice(digits.length - tail)}`
}
