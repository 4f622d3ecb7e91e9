/** The one error that leaves the client, and the reading of errors out of responses. */
import type { WxFailure, WxHeaders } from './wx'

/** Codes of the client's own; every other `code` is the gateway's (docs/errors.md of wxgate). */
export type ClientErrorCode =
  /** No answer: whether the request was carried out is not known. */
  | 'network'
  | 'timeout'
  | 'aborted'
  /** WeChat ended it because the mini-program was in the background. */
  | 'interrupted'
  /** wx.login gave no code. */
  | 'login_failed'
  /** The user was logged out while the call waited. */
  | 'logged_out'
  /** Not under baseUrl: nothing was sent. */
  | 'invalid_url'
  /** The gateway's answer makes no sense; something else may be answering in its place. */
  | 'invalid_response'
  | 'too_many_sockets'
  /** getPhoneNumber gave no code: the user refused, or the mini-program may not ask. */
  | 'phone_refused'

export interface WxgateError extends Error {
  readonly name: 'WxgateError'
  readonly code: string
  /** 0 when there was no answer. */
  readonly status: number
  readonly action: 'none' | 'refresh' | 'login' | 'retry'
  readonly detail: string
  /** Names the request in the gateway's log; empty when there was no answer. */
  readonly requestId: string
  /** Seconds, where the gateway said when to try again. */
  readonly retryAfter?: number
  /** WeChat's own words about a call that failed, else code and detail. */
  readonly errMsg: string
  readonly errno?: number
}

export type ErrorMembers = Partial<Omit<WxgateError, keyof Error>> & { code: string; detail: string }

/** A plain Error with members: a subclass of Error loses its prototype in ECMAScript 5. */
export function createError(members: ErrorMembers): WxgateError {
  const { code, status = 0, action = 'none', detail, requestId = '', errMsg = `${code}: ${detail}` } = members
  const error = new Error(`${code}: ${detail}`)
  const own: { [name: string]: unknown } = { name: 'WxgateError', code, status, action, detail, requestId, errMsg }
  if (members.retryAfter !== undefined) own.retryAfter = members.retryAfter
  if (members.errno !== undefined) own.errno = members.errno
  const target = error as unknown as { [name: string]: unknown }
  for (const name in own) target[name] = own[name]
  return error as WxgateError
}

export function isWxgateError(value: unknown): value is WxgateError {
  return typeof value === 'object' && value !== null && (value as { name?: unknown }).name === 'WxgateError'
}

const INTERRUPTED = 600003
const DOMAIN_NOT_LISTED = 600002
const INVALID_URL = 600009

/** A wx call that got no answer. */
export function fromWxFailure(failure: WxFailure | undefined): WxgateError {
  const errMsg = String(failure?.errMsg ?? 'fail')
  const errno = failure?.errno
  const about = errno === undefined ? { errMsg } : { errMsg, errno }
  if (errno === DOMAIN_NOT_LISTED || errno === INVALID_URL || /url not in domain list|invalid url/i.test(errMsg)) {
    return createError({ code: 'invalid_url', detail: 'WeChat does not allow this address.', ...about })
  }
  if (errno === INTERRUPTED || /interrupted/i.test(errMsg)) {
    return createError({ code: 'interrupted', detail: 'WeChat ended the request in the background.', ...about })
  }
  if (/abort/i.test(errMsg)) return createError({ code: 'aborted', detail: 'The request was aborted.', ...about })
  if (/time(d)? ?out/i.test(errMsg)) {
    return createError({ code: 'timeout', detail: 'No answer arrived in time.', ...about })
  }
  return createError({ code: 'network', detail: 'The gateway could not be reached.', ...about })
}

const TYPE = 'urn:wxgate:error:'

/** The gateway's error in a response; null for every other response, whatever its status: a business service may answer 401
 *  itself, and has then seen the request. */
export function readProblem(statusCode: number, data: unknown, header: WxHeaders | undefined): WxgateError | null {
  if (statusCode < 400) return null
  const body = toObject(data)
  if (!body || body.type !== TYPE + String(body.code)) return null
  const seconds = Number(headerOf(header, 'retry-after'))
  return createError({
    code: String(body.code),
    status: statusCode,
    action: body.action === 'refresh' || body.action === 'login' || body.action === 'retry' ? body.action : 'none',
    detail: String(body.detail),
    requestId: String(body.request_id),
    ...(seconds > 0 ? { retryAfter: seconds } : {})
  })
}

/** Whether a response with these headers holds an error in the gateway's form (RFC 9457). */
export function isProblemType(header: WxHeaders | undefined): boolean {
  return /^application\/problem\+json/i.test(headerOf(header, 'content-type') ?? '')
}

export function headerOf(header: WxHeaders | undefined, name: string): string | undefined {
  for (const key in header) if (key.toLowerCase() === name) return header[key]
  return undefined
}

/** Characters (or bytes) that are looked at for a problem; the gateway's are a few hundred. */
const LONGEST = 16 * 1024

/** `dataType` and `responseType` decide in which form the same body comes. */
function toObject(data: unknown): { [name: string]: unknown } | null {
  if (isBytes(data)) return toObject(data.byteLength > LONGEST ? '' : toText(data))
  if (typeof data === 'string') {
    if (data.charAt(0) !== '{' || data.length > LONGEST) return null
    try {
      return toObject(JSON.parse(data))
    } catch (_error) {
      return null
    }
  }
  return typeof data === 'object' && data !== null ? (data as { [name: string]: unknown }) : null
}

/** Also for one that another JavaScript context made. */
function isBytes(data: unknown): data is ArrayBuffer {
  return Object.prototype.toString.call(data) === '[object ArrayBuffer]'
}

/** The gateway's errors are ASCII but for names that it quotes; mini-programs have no TextDecoder everywhere. */
function toText(data: ArrayBuffer): string {
  const bytes = new Uint8Array(data)
  let encoded = ''
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0
    encoded += `%${byte < 16 ? '0' : ''}${byte.toString(16)}`
  }
  try {
    return decodeURIComponent(encoded)
  } catch (_error) {
    return ''
  }
}
