/** Every error that a client can receive, in one shape (RFC 9457). */

/** The client's next step: none, refresh its token, call wx.login again, or wait and repeat. */
export type Action = 'none' | 'refresh' | 'login' | 'retry'

interface Entry {
  readonly status: number
  readonly action: Action
  readonly title: string
}

/** The catalogue. A test holds docs/errors.md to it. */
export const catalogue = {
  invalid_request: { status: 400, action: 'none', title: 'The request is not valid' },
  bad_path: { status: 400, action: 'none', title: 'The path can be read in more than one way' },
  bad_header: { status: 400, action: 'none', title: 'A request header is not valid' },
  channel_invalid: { status: 400, action: 'none', title: 'The request is not encrypted as the route needs it' },
  phone_code_invalid: { status: 400, action: 'none', title: 'The phone code is not valid' },
  token_missing: { status: 401, action: 'login', title: 'No access token was sent' },
  token_invalid: { status: 401, action: 'login', title: 'The access token is not valid' },
  token_expired: { status: 401, action: 'refresh', title: 'The access token has expired' },
  session_revoked: { status: 401, action: 'login', title: 'The session was ended' },
  code_invalid: { status: 401, action: 'login', title: 'The login code is not valid or has expired' },
  code_used: { status: 401, action: 'login', title: 'The login code was already used' },
  refresh_invalid: { status: 401, action: 'login', title: 'The refresh token is not valid' },
  refresh_reused: { status: 401, action: 'login', title: 'The refresh token was used twice' },
  signature_invalid: { status: 401, action: 'none', title: 'The signature does not match' },
  login_blocked: { status: 403, action: 'none', title: 'The login was refused' },
  app_not_allowed: { status: 403, action: 'none', title: 'This mini-program may not call this route' },
  forbidden: { status: 403, action: 'none', title: 'Not allowed' },
  no_route: { status: 404, action: 'none', title: 'No route for this path' },
  not_found: { status: 404, action: 'none', title: 'Not found' },
  method_not_allowed: { status: 405, action: 'none', title: 'Method not allowed' },
  request_timeout: { status: 408, action: 'none', title: 'The request took too long to arrive' },
  session_key_stale: { status: 409, action: 'login', title: 'The session_key is missing or out of date' },
  channel_replayed: { status: 409, action: 'none', title: 'The encrypted request was sent twice' },
  body_too_large: { status: 413, action: 'none', title: 'The request body is too large' },
  uri_too_long: { status: 414, action: 'none', title: 'The request URI is too long' },
  rate_limited: { status: 429, action: 'retry', title: 'Too many requests' },
  headers_too_large: { status: 431, action: 'none', title: 'The request headers are too large' },
  internal_error: { status: 500, action: 'retry', title: 'The gateway failed to handle the request' },
  upstream_unreachable: { status: 502, action: 'retry', title: 'The upstream could not be reached' },
  upstream_invalid: { status: 502, action: 'retry', title: 'The upstream gave an invalid response' },
  wechat_misconfigured: { status: 502, action: 'none', title: 'The gateway is not set up correctly for WeChat' },
  upstream_unavailable: { status: 503, action: 'retry', title: 'The upstream is unavailable' },
  overloaded: { status: 503, action: 'retry', title: 'The gateway is overloaded' },
  maintenance: { status: 503, action: 'retry', title: 'The route is closed for maintenance' },
  wechat_unavailable: { status: 503, action: 'retry', title: 'WeChat is unavailable' },
  store_unavailable: { status: 503, action: 'retry', title: 'The session store is unavailable' },
  upstream_timeout: { status: 504, action: 'retry', title: 'The upstream did not answer in time' },
  loop_detected: { status: 508, action: 'none', title: 'The request came round to the gateway again' }
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof catalogue

export interface ApiErrorOptions {
  /** Seconds for `Retry-After`. Errors with the action `retry` always carry it; default 1. */
  retryAfter?: number
  /** Further response headers, such as `Allow`. */
  headers?: Readonly<Record<string, string>>
  /** For the log only; never part of the response. */
  cause?: unknown
}

/** An answer other than success. `detail` is for people: the event and the next step. It names
 *  no credential, no upstream address and no stack. */
export class ApiError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly action: Action
  readonly detail: string
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, detail: string, options: ApiErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ApiError'
    const entry = catalogue[code]
    this.code = code
    this.status = entry.status
    this.action = entry.action
    this.detail = detail
    this.headers = {
      ...options.headers,
      ...(entry.action === 'retry' ? { 'retry-after': String(Math.max(1, Math.ceil(options.retryAfter ?? 1))) } : {}),
      ...(entry.status === 401 ? { 'www-authenticate': challenge(code) } : {})
    }
  }
}

/** RFC 6750, section 3: a request without a credential gets no error attribute. */
function challenge(code: ErrorCode): string {
  if (code === 'token_missing') return 'Bearer'
  return 'Bearer error="invalid_token"'
}

/** The store did not answer in time, or answered with an error. The outcome of a write is
 *  unknown. */
export class StoreError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
  }
}

/** The answer for any thrown value. The thrown value becomes `cause`, except for an ApiError,
 *  which is returned itself: log it with its stack when the code is `internal_error`. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreError) {
    const detail = 'The session store does not answer. Try again shortly.'
    return new ApiError('store_unavailable', detail, { retryAfter: 2, cause: error })
  }
  return new ApiError('internal_error', 'The gateway failed to handle this request. Try again shortly.', {
    cause: error
  })
}

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  action: Action
  request_id: string
}

export const PROBLEM_TYPE = 'application/problem+json'

/** The body of an error response (RFC 9457, section 3.1, plus `code`, `action` and
 *  `request_id`). */
export function toProblem(error: ApiError, requestId: string): Problem {
  return {
    type: `urn:wxgate:error:${error.code}`,
    title: catalogue[error.code].title,
    status: error.status,
    detail: error.detail,
    code: error.code,
    action: error.action,
    request_id: requestId
  }
}

/** `ECONNREFUSED`, or the name of an error without a code. Messages can hold URLs with secrets. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.name === 'TimeoutError' || error.name === 'AbortError' ? 'no answer in time' : error.name
}
