/** Failures between the gateway and an upstream: their kinds, and the errors for clients. */
import { ApiError } from '../errors.ts'

const UNREACHABLE = new ApiError(
  'upstream_unreachable',
  'The business service could not be reached. Try again shortly.'
)
const TLS = new ApiError(
  'upstream_unreachable',
  'The TLS connection to the business service failed. Its certificate must be valid.'
)
const CLOSED = new ApiError('upstream_unreachable', 'The business service closed the connection before it answered.')
export const INVALID_RESPONSE = new ApiError(
  'upstream_invalid',
  'The business service gave a response that is not valid HTTP.'
)
export const UPSTREAM_TIMEOUT = new ApiError('upstream_timeout', 'The business service did not answer in time.')
export const NO_TARGET = new ApiError(
  'upstream_unavailable',
  'No target of the business service can be used. Try again shortly.'
)
export const QUEUE_FULL = new ApiError(
  'upstream_unavailable',
  'The business service has too many requests under way. Try again shortly.'
)

/** A connection that failed. `code` is an error code of the socket, or one of CONNECT_TIMEOUT,
 *  RESPONSE_TIMEOUT, CLOSED (before the first byte of a response) and TRUNCATED (after it). */
export class ConnectionFault extends Error {
  readonly code: string
  /** The connection has served requests before: a target may close an idle one at any time. */
  readonly isReused: boolean
  constructor(code: string, isReused = false) {
    super(code)
    this.name = 'ConnectionFault'
    this.code = code
    this.isReused = isReused
  }
}

const TIMEOUTS = new Set(['RESPONSE_TIMEOUT', 'CONNECT_TIMEOUT'])
const CLOSED_EARLY = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ETIMEDOUT', 'CLOSED'])
const CUT_SHORT = new Set(['TRUNCATED', 'HTTP_INCOMPLETE', 'HTTP_CLOSED'])

/** The gateway itself lacks descriptors or memory. */
const OWN_SHORTAGE = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

/** True when the target caused a failed connection. */
export function isFaultOfTarget(error: unknown): boolean {
  return !OWN_SHORTAGE.has(codeOf(error))
}

/** True for a connection that has served requests before and gave no byte of this response. */
export function isStale(error: unknown): boolean {
  return error instanceof ConnectionFault && error.isReused && CLOSED_EARLY.has(error.code)
}

/** True for a throw of the gateway's own code inside a handler of a response. Errors of sockets and
 *  of the response parser have a code. */
export function isOwnFault(error: unknown): boolean {
  return !(error instanceof ApiError) && codeOf(error) === ''
}

/** `connect`: nothing was sent. `reset`: the connection was lost before an answer. `other`:
 *  another target would not help, or the request may have taken effect. */
export type FailureKind = 'connect' | 'reset' | 'other'

export function kindOf(error: unknown, wasSent: boolean): FailureKind {
  // The gateway's own error, such as a body that is too large.
  if (error instanceof ApiError) return 'other'
  const code = codeOf(error)
  if (code === '') return 'other'
  if (!wasSent) return 'connect'
  return CLOSED_EARLY.has(code) ? 'reset' : 'other'
}

export function toUpstreamError(error: unknown, wasSent: boolean): ApiError {
  if (error instanceof ApiError) return error
  const code = codeOf(error)
  if (TIMEOUTS.has(code)) return UPSTREAM_TIMEOUT
  if (/^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|ERR_OSSL)/.test(code)) return TLS
  if (kindOf(error, wasSent) === 'connect') return UNREACHABLE
  return CLOSED_EARLY.has(code) || CUT_SHORT.has(code) ? CLOSED : INVALID_RESPONSE
}

/** A short word for the log. Never a message: it could hold an address or a header value. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return ''
}

/** The same word; empty for an error that the gateway itself chose. */
export function causeOf(error: unknown): string {
  return error instanceof ApiError ? '' : codeOf(error)
}
