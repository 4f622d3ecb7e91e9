/** Codes of wx.login and getPhoneNumber: each stands for a user, works once and for five
 *  minutes. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { createBoundedMap } from './bounded-map.ts'
import { type Fault, parseFault } from './faults.ts'

const LIFE = 5 * 60 * 1000
/** First words of faults: a misspelt fault such as `fault-hnag` must not become a user name. */
const NO_NAMES: ReadonlySet<string> = new Set(['fault', 'errcode', 'slow', 'status'])

export type CodeKind = 'login' | 'phone'

export interface PhoneFields {
  readonly phoneNumber?: unknown
  readonly purePhoneNumber?: unknown
  readonly countryCode?: unknown
}

export interface MintOptions {
  readonly kind: CodeKind
  readonly name: string
  /** Null: the first mini-program that uses it. */
  readonly appId: string | null
  /** Milliseconds. */
  readonly ttl?: number
  readonly phone?: PhoneFields
}

export interface Redeemed {
  readonly name: string
  readonly phone: PhoneFields
}

export type CodeVerdict = Redeemed | 'unknown' | 'used' | 'other-app'

export interface Codes {
  mint(options: MintOptions): string
  /** The fault that the text of a code asks for. The code stays unused. */
  faultOf(code: string): Fault | null
  /** Uses the code. It stays unused when `admits` rejects its user. */
  redeem(kind: CodeKind, appId: string, code: string, admits?: (name: string) => boolean): CodeVerdict
  clear(): void
}

interface Record {
  readonly kind: CodeKind
  readonly name: string
  appId: string | null
  readonly expiresAt: number
  readonly phone: PhoneFields
  isUsed: boolean
}

interface Spelled {
  readonly fault: Fault | null
  readonly kind: CodeKind
  readonly name: string
  readonly isReusable: boolean
}

export function createCodes(clock: Clock): Codes {
  const records = createBoundedMap<string, Record>()

  function recordOf(code: string, appId: string): Record | null {
    const known = records.get(code)
    if (known) return known
    const spelled = spell(code)
    if (!spelled) return null
    const { kind, name } = spelled
    const record = { kind, name, appId, expiresAt: Number.POSITIVE_INFINITY, phone: {}, isUsed: false }
    if (!spelled.isReusable) records.set(code, record)
    return record
  }

  return {
    mint({ kind, name, appId, ttl = LIFE, phone = {} }) {
      const code = kind === 'login' ? `0${randomBytes(24).toString('base64url').slice(0, 31)}` : randomHex()
      records.set(code, { kind, name, appId, expiresAt: clock.now() + ttl, phone, isUsed: false })
      return code
    },

    faultOf: (code) => spell(code)?.fault ?? null,

    redeem(kind, appId, code, admits = () => true) {
      const record = recordOf(code, appId)
      if (!record || record.kind !== kind) return 'unknown'
      if (record.appId !== null && record.appId !== appId) return 'other-app'
      if (record.isUsed) return 'used'
      if (clock.now() >= record.expiresAt || !admits(record.name)) return 'unknown'
      record.isUsed = true
      record.appId = appId
      return { name: record.name, phone: record.phone }
    },

    clear: () => records.clear()
  }
}

/** Reads `sandbox-` [`phone-`] [fault `-`] name [`-` anything]. A code with `anything` works
 *  once, any other always. The user of a fault without a name is called `fault`. */
function spell(code: string): Spelled | null {
  const match = /^sandbox-(phone-)?([A-Za-z0-9_-]{1,200})$/.exec(code)
  if (!match?.[2]) return null
  const kind = match[1] === undefined ? 'login' : 'phone'
  const { fault, rest } = parseFault(match[2]) ?? { fault: null, rest: match[2] }
  if (rest === '') return { fault, kind, name: 'fault', isReusable: true }
  const named = /^([A-Za-z0-9_]{1,64})(-.+)?$/.exec(rest)
  if (!named?.[1] || NO_NAMES.has(named[1])) return null
  return { fault, kind, name: named[1], isReusable: named[2] === undefined }
}

function randomHex(): string {
  return randomBytes(32).toString('hex')
}
