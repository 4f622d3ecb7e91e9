/** WxgateError: the only error that leaves the client. */
import type { WxFailure } from './wx'

/** Codes of the client itself. Every other `code` is the gateway's: docs/errors.md of wxgate. */
export type ClientErrorCode =
  /** No answer. The request may have been carried out. */
  | 'network'
  | 'timeout'
  /** By abort() of this client only. */
  | 'aborted'
  /** WeChat ended the request because the mini-program was in the background. */
  | 'interrupted'
  /** wx.login gave no code. */
  | 'login_failed'
  /** The user was logged out while the call waited. */
  | 'logged_out'
  /** createClient was called without a baseUrl, or without a complete wx. */
  | 'invalid_options'
  /** The address is not under baseUrl. Nothing was sent. */
  | 'invalid_url'
  /** The answer is not the gateway's: another server may have answered. */
  | 'invalid_response'
  | 'too_many_sockets'
  /** WeChat gave no key for the encrypted channel. */
  | 'channel_unavailable'
  /** getPhoneNumber gave no code: the user refused, or the mini-program may not ask. */
  | 'phone_refused'

export interface WxgateError extends Error {
  readonly name: 'WxgateError'
  readonly code: string
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly action: 'none' | 'refresh' | 'login' | 'retry'
  readonly detail: string
  /** Names the request in the gateway's log; empty when there was no answer. */
  readonly requestId: string
  /** Seconds to wait, when the gateway sent Retry-After. */
  readonly retryAfter?: number
  /** errMsg of the wx call that failed, else code and detail. */
  readonly errMsg: string
  readonly errno?: number
}

export type ErrorMembers = Partial<Omit<WxgateError, keyof Error>> & { code: string; detail: string }

/** Makes a plain Error with members: in ECMAScript 5 a subclass of Error loses its prototype. */
export function createError(members: ErrorMembers): WxgateError {
  const { code, status = 0, action = 'none', detail, requestId = '', errMsg = `${code}: ${detail}` } = members
  const own: { [name: string]: unknown } = { name: 'WxgateError', code, status, action, detail, requestId, errMsg }
  if (members.retryAfter !== undefined) own.retryAfter = members.retryAfter
  if (members.errno !== undefined) own.errno = members.errno
  const error = new Error(`${code}: ${detail}`) as WxgateError & { [name: string]: unknown }
  for (const name in own) error[name] = own[name]
  return error
}

export function isWxgateError(value: unknown): value is WxgateError {
  return typeof value === 'object' && value !== null && (value as { name?: unknown }).name === 'WxgateError'
}

/** Numbers of WeChat's errno table. */
const TIMED_OUT = 5
const DOMAIN_NOT_LISTED = 600002
const INTERRUPTED = 600003
const INVALID_URL = 600009

/** Reads the failure of a wx call that got no answer. Its text comes from WeChat, the phone's
 *  system or the network library: "abort" or "interrupt" within a text says nothing about the
 *  caller or the background. */
export function fromWxFailure({ errMsg, errno }: WxFailure): WxgateError {
  const about = errno === undefined ? { errMsg } : { errMsg, errno }
  if (errno === DOMAIN_NOT_LISTED || errno === INVALID_URL || /url not in domain list|invalid url/i.test(errMsg)) {
    return createError({ code: 'invalid_url', detail: 'WeChat does not allow this address.', ...about })
  }
  if (errno === INTERRUPTED || /:fail (network )?interrupted\b/i.test(errMsg)) {
    return createError({ code: 'interrupted', detail: 'WeChat ended the request in the background.', ...about })
  }
  if (errno === TIMED_OUT || /time(d)?[ _-]?out|超时|逾時/i.test(errMsg)) {
    return createError({ code: 'timeout', detail: 'No answer arrived in time.', ...about })
  }
  return createError({ code: 'network', detail: 'The gateway could not be reached.', ...about })
}
