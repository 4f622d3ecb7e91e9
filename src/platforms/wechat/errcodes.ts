/** Maps WeChat's error codes to the error catalogue. */
import { ApiError, type ErrorCode } from '../../errors.ts'
import type { Log } from '../../telemetry/log.ts'

/** The JSON of an answer; an error has `errcode` and `errmsg`. */
export type WeChatAnswer = Readonly<Record<string, unknown>>

/** The call that failed: some codes differ in meaning between calls. */
export type Operation = 'login' | 'token' | 'session' | 'phone' | 'quota'

interface Meaning {
  readonly code: ErrorCode
  readonly detail: string
  /** Seconds. */
  readonly retryAfter?: number
  /** For the operator's log. */
  readonly hint?: string
}

const BUSY: Meaning = { code: 'wechat_unavailable', detail: 'WeChat is busy. Try again.' }
const NEW_CODE: Meaning = { code: 'code_invalid', detail: 'The code is not valid or has expired. Get a new one.' }
const PHONE_CODE: Meaning = {
  code: 'phone_code_invalid',
  detail: 'WeChat refused the phone code: expired, used, or of another user. Let the user tap the button again.'
}
/** WeChat's refusals of a code from getPhoneNumber. 40013: the code belongs to another
 *  mini-program. */
const PHONE_CODE_ERRCODES: ReadonlySet<number> = new Set([40013, 40029, 40163, 41008])

function misconfigured(hint: string): Meaning {
  return {
    code: 'wechat_misconfigured',
    detail: 'WeChat refuses this gateway. Its operator must correct the configuration.',
    hint
  }
}

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [-1, BUSY],
  [40029, NEW_CODE],
  [40163, { code: 'code_used', detail: 'The code was already used. Get a new one.' }],
  [40226, { code: 'login_blocked', detail: 'WeChat regards this user as a risk and refused the login.' }],
  [50001, { code: 'login_blocked', detail: 'WeChat does not allow this call for the user.' }],
  [50002, { code: 'login_blocked', detail: 'WeChat has restricted this user.' }],
  [41008, { code: 'invalid_request', detail: 'The code is missing.' }],
  [45011, { code: 'rate_limited', detail: 'WeChat allows no more calls in this minute.', retryAfter: 60 }],
  [45009, { code: 'rate_limited', detail: 'WeChat allows no more calls today.', retryAfter: 3600 }],
  [40003, { code: 'invalid_request', detail: 'WeChat does not know this user.' }],
  [87007, { code: 'session_key_stale', detail: 'WeChat no longer knows the session_key. Log in again.' }],
  [87009, { code: 'session_key_stale', detail: 'WeChat no longer knows the session_key. Log in again.' }],
  [40001, misconfigured('the AppSecret or the access token is wrong')],
  [40002, misconfigured('grant_type was refused')],
  [40013, misconfigured('the appid is wrong')],
  [40097, misconfigured('the arguments were refused')],
  [40125, misconfigured('the AppSecret is wrong')],
  [40164, misconfigured('the address of this server is not on the IP whitelist of the mini-program')],
  [40243, misconfigured('the AppSecret is frozen')],
  [41001, misconfigured('the access token is missing')],
  [41002, misconfigured('the appid is missing')],
  [41004, misconfigured('the AppSecret is missing')],
  [43001, misconfigured('the call must be a GET')],
  [43002, misconfigured('the call must be a POST')],
  [48001, misconfigured('the mini-program has no right to this interface')],
  [48004, misconfigured('the interface was closed to the mini-program')],
  [50004, misconfigured('the mini-program may not get access tokens')],
  [50007, misconfigured('the account is frozen')],
  [61003, misconfigured('the mini-program has not authorised this platform')],
  [87008, misconfigured('sig_method was refused')],
  [89503, misconfigured('an administrator has to confirm the address of this server')],
  [89506, misconfigured('an administrator refused the address of this server; WeChat asks again after 24 hours')],
  [89507, misconfigured('an administrator refused the address of this server; WeChat asks again after 1 hour')]
])

const TOKEN_ERRCODES: ReadonlySet<number> = new Set([40001, 40014, 42001])

/** Refusals of the calls that backends make: of a user, an argument, the content, or the quota. */
const API_ERRCODES = [40037, 43101, 43104, 44991, 47001, 47003, 61010, 76022, 85107, 87014]
/** Errcodes that metrics and reports tell apart. */
export const KNOWN_ERRCODES: readonly number[] = [...new Set([...MEANINGS.keys(), ...TOKEN_ERRCODES, ...API_ERRCODES])]

/** 0 for success. WeChat leaves errcode out, sends 0, or sends it as a string; NaN for anything
 *  else. */
export function readErrcode(answer: WeChatAnswer): number {
  const { errcode } = answer
  if (errcode === undefined || errcode === null) return 0
  if (typeof errcode === 'number') return errcode
  return typeof errcode === 'string' && /^-?\d{1,9}$/.test(errcode) ? Number(errcode) : Number.NaN
}

/** True when WeChat rejects the access token of the call. */
export function isTokenRejected(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && isTokenErrcode(readErrcode({ ...answer }))
}

/** True for the errcodes of a rejected access token. */
export function isTokenErrcode(errcode: number | null): boolean {
  return errcode !== null && TOKEN_ERRCODES.has(errcode)
}

/** Logs the refusal with the trace id that WeChat support asks for, and returns the error for
 *  the client. */
export function refusal(log: Log, operation: Operation, appId: string, answer: WeChatAnswer): ApiError {
  const errcode = readErrcode(answer)
  const meaning = meaningOf(operation, errcode)
  const fields = { operation, appid: appId, errcode, rid: readRid(answer), hint: meaning.hint }
  if (meaning.code === 'wechat_misconfigured') log.error(fields, 'WeChat refused a call')
  else if (meaning.code === 'wechat_unavailable') log.warn(fields, 'WeChat refused a call')
  else log.info(fields, 'WeChat refused a call')
  return new ApiError(
    meaning.code,
    meaning.detail,
    meaning.retryAfter === undefined ? {} : { retryAfter: meaning.retryAfter }
  )
}

/** The next step of an operator after a refusal; null for an unknown code. */
export function operatorHint(errcode: number): string | null {
  return MEANINGS.get(errcode)?.hint ?? null
}

function meaningOf(operation: Operation, errcode: number): Meaning {
  if (operation === 'phone' && PHONE_CODE_ERRCODES.has(errcode)) return PHONE_CODE
  // Refused again with a new token: another program keeps replacing it.
  if ((operation === 'phone' || operation === 'session') && TOKEN_ERRCODES.has(errcode)) return BUSY
  return MEANINGS.get(errcode) ?? BUSY
}

/** The rest of errmsg may repeat arguments; only the trace id is read. */
function readRid(answer: WeChatAnswer): string | undefined {
  const { errmsg } = answer
  if (typeof errmsg !== 'string') return undefined
  return /\b(?:rid|req_id): ?([A-Za-z0-9-]{6,64})/.exec(errmsg)?.[1]
}
