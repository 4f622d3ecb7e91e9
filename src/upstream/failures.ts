/** What went wrong between us and an upstream, in the words of the catalogue. */
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
const INVALID = new ApiError('upstream_invalid', 'The business service gave a response that is not valid HTTP.')
const TIMEOUT = new ApiError('upstream_timeout', 'The business service did not answer in time.')

/** Nothing was sent: another target can be asked. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'EADDRNOTAVAIL',
  'EPROTO',
  'UND_ERR_CONNECT_TIMEOUT'
])
const CLOSED_EARLY = new Set([
  'ECONNRESET',
  'EPIPE',
  'UND_ERR_SOCKET',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
  'ETIMEDOUT'
])

export function isNotConnected(error: unknown): boolean {
  const code = codeOf(error)
  return NOT_CONNECTED.has(code) || isTls(code)
}

export function isReset(error: unknown): boolean {
  return CLOSED_EARLY.has(codeOf(error))
}

export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  const code = codeOf(error)
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' || code === 'UND_ERR_CONNECT_TIMEOUT')
    return TIMEOUT
  if (isTls(code)) return TLS
  if (NOT_CONNECTED.has(code)) return UNREACHABLE
  // undici has one code for connections that were lost and for those it gave up itself.
  if (code === 'UND_ERR_SOCKET' && error instanceof Error && /^bad (?:response|upgrade)$/.test(error.message))
    return INVALID
  return CLOSED_EARLY.has(code) ? CLOSED : INVALID
}

/** For the log: a short word, never a message, which could hold an address or a header value. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return codeOf(error.errors[0])
  return ''
}

function isTls(code: string): boolean {
  return /^(?:ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH|ERR_OSSL)/.test(code)
}
