/** Reads the answer of a login hook strictly, since a token will carry its claims. */
import type { Claims } from '../identity/principal.ts'

/** Bytes of all claims as JSON, characters of one text, items of one list. A token travels with
 *  every request and must fit the header limits of every server on the way. */
const MAX_CLAIMS = 1024
const MAX_TEXT = 256
const MAX_ITEMS = 32
/** Bytes as JSON. */
const MAX_PROFILE = 16 * 1024
const MAX_DETAIL = 200

const DENIED = 'The service behind this mini-program does not let this user in.'
/** Members that only the gateway sets. */
const OURS = ['id', 'is_new', 'status']

export interface HookAnswer {
  /** The reason for a person; null when the user may log in. */
  readonly denial: string | null
  readonly claims: Claims
  /** Added to the client's answer beside the gateway's own members. */
  readonly profile: Readonly<Record<string, unknown>> | null
  /** Names of the members that were left out. */
  readonly ignored: readonly string[]
}

type Fields = Readonly<Record<string, unknown>>

/** Null for an invalid answer. An empty answer has no claims and no profile.
 *  @param json The parsed body; undefined for an empty one. */
export function readHookAnswer(status: number, json: unknown, allowed: readonly string[]): HookAnswer | null {
  const answer = json === undefined ? {} : isObject(json) ? json : null
  if (status === 403) return deny(answer?.detail)
  if (status < 200 || status > 299 || answer === null) return null
  if (answer.deny === true) return deny(answer.detail)
  const { claims, user } = answer
  if (!isAbsent(claims) && !isObject(claims)) return null
  if (!isAbsent(user) && !isObject(user)) return null
  const ignored: string[] = []
  return {
    denial: null,
    claims: readClaims(isObject(claims) ? claims : {}, allowed, ignored),
    profile: isObject(user) ? readProfile(user, ignored) : null,
    ignored
  }
}

function deny(detail: unknown): HookAnswer {
  const said = typeof detail === 'string' ? detail.replace(/\p{Cc}+/gu, ' ').trim() : ''
  const denial = said === '' ? DENIED : said.toWellFormed().slice(0, MAX_DETAIL)
  return { denial, claims: {}, profile: null, ignored: [] }
}

function readClaims(given: Fields, allowed: readonly string[], ignored: string[]): Claims {
  const claims: Record<string, Claims[string]> = {}
  let size = 0
  for (const [name, value] of Object.entries(given)) {
    if (isAbsent(value)) continue
    const bytes = isClaim(value) ? Buffer.byteLength(JSON.stringify({ [name]: value })) : Number.POSITIVE_INFINITY
    if (isClaim(value) && allowed.includes(name) && size + bytes <= MAX_CLAIMS) {
      claims[name] = value
      size += bytes
    } else ignored.push(`claims.${name.slice(0, 40)}`)
  }
  return claims
}

function readProfile(user: Fields, ignored: string[]): HookAnswer['profile'] {
  const entries = Object.entries(user).filter(([name]) => !OURS.includes(name))
  ignored.push(...OURS.filter((name) => Object.hasOwn(user, name)).map((name) => `user.${name}`))
  const profile = Object.fromEntries(entries)
  if (Buffer.byteLength(JSON.stringify(profile)) <= MAX_PROFILE) return profile
  ignored.push('user')
  return null
}

function isClaim(value: unknown): value is Claims[string] {
  if (typeof value === 'boolean' || typeof value === 'number') return true
  if (Array.isArray(value)) return value.length <= MAX_ITEMS && value.every(isShortText)
  return isShortText(value)
}

function isShortText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
