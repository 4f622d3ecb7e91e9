/** Translates errors of Node's HTTP parser to the error catalogue. */
import { ApiError } from '../../errors.ts'

/** Node's report of bytes that are not valid HTTP. */
export interface ClientError {
  code?: string | undefined
  /** The bytes being read; not always from the start of the message. */
  rawPacket?: Buffer | undefined
  /** Bytes that the parser had accepted. */
  bytesParsed?: number | undefined
}

/** Bytes above the limits for target and headers, so that a head that is too long still gets an
 *  answer. */
const HEAD_SLACK = 16 * 1024

/** Value for Node's `maxHeaderSize`: bytes of request line and headers together. */
export function maxHeadSize({ uri, headers }: { readonly uri: number; readonly headers: number }): number {
  return uri + headers + HEAD_SLACK
}

export const NOT_HTTP = new ApiError('invalid_request', 'This is not a valid HTTP/1.1 request.')
const BAD_TARGET = new ApiError('bad_path', 'The request-target holds a character that must be percent-encoded.')
const BAD_HEADER = new ApiError('bad_header', 'A request header is not valid.')
const FRAMING = new ApiError('bad_header', 'The framing of the request body is not valid.')
const HEADERS_TOO_LARGE = new ApiError(
  'headers_too_large',
  'The request headers are larger than server.limits.headers allows.'
)
const URI_TOO_LONG = new ApiError('uri_too_long', 'The request URI is longer than server.limits.uri allows.')
const TOO_SLOW = new ApiError('request_timeout', 'The request headers took longer than server.limits.headersTimeout.')

/** Null for an error of the connection and not of the bytes on it. */
export function toClientError({ code = '', rawPacket, bytesParsed }: ClientError, uriLimit: number): ApiError | null {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return TOO_SLOW
  if (!code.startsWith('HPE_')) return null
  if (code === 'HPE_HEADER_OVERFLOW') return overflow(rawPacket?.toString('latin1') ?? '', bytesParsed ?? 0, uriLimit)
  if (code === 'HPE_INVALID_URL') return BAD_TARGET
  if (/LENGTH|TRANSFER|CHUNK/.test(code)) return FRAMING
  return /HEADER|TOKEN|_LF_|CR_/.test(code) ? BAD_HEADER : NOT_HTTP
}

/** Decides whether the request line or a header was too long. Of a head in several packets only
 *  the last one is known, so its form decides. */
function overflow(packet: string, bytesParsed: number, uriLimit: number): ApiError {
  // The empty line before this message, and not the one that ends it, which may start where the
  // parser stopped.
  const previous = packet.lastIndexOf('\r\n\r\n', (bytesParsed || packet.length) - 5)
  const message = previous < 0 ? packet : packet.slice(previous + 4)
  const lineEnd = message.indexOf('\r\n')
  if (lineEnd < 0) return /^(?:[A-Z-]{1,32} )?[^\s:]*$/.test(message) ? URI_TOO_LONG : HEADERS_TOO_LARGE
  const isRequestLine = / HTTP\/1\.\d$/.test(message.slice(Math.max(0, lineEnd - 16), lineEnd))
  if (!isRequestLine) return HEADERS_TOO_LARGE
  const isWhole = /^[A-Z-]{1,32} /.test(message)
  return isWhole && lineEnd <= uriLimit ? HEADERS_TOO_LARGE : URI_TOO_LONG
}
