/** Reads the headers of a request once: framing, credential and forwarding headers by name, the
 *  rest as a list that may go upstream. */
import { ApiError } from '../../errors.ts'
import type { Peer } from '../network.ts'
import type { HeaderNames } from './header-names.ts'

/** `kept`: headers that a client may send upstream, name and value in turns. */
export interface RequestHeaders {
  readonly kept: string[]
  readonly host: string
  readonly authorization: string | undefined
  readonly contentLength: number | null
  readonly isChunked: boolean
  readonly forwardedFor: string | undefined
  readonly forwardedProto: string | undefined
  readonly forwardedHost: string | undefined
  readonly forwardedPrefix: string | undefined
  readonly requestId: string | undefined
  readonly traceparent: string | undefined
  /** The proxies that the request has passed (RFC 8586). */
  readonly loop: string | undefined
  /** Two lines are joined with a comma, and so name no method. */
  readonly methodOverride: string | undefined
  /** Removed headers; filled only with `explain`. */
  readonly stripped: readonly Stripped[]
}

export interface Stripped {
  readonly name: string
  /** For people. */
  readonly why: string
}

const badHeader = (detail: string) => new ApiError('bad_header', detail)
const DUPLICATE = badHeader('Host, Authorization, Content-Type and Content-Length may each be sent once.')
const NO_HOST = badHeader('The Host header is missing or not a host name with an optional port.')
const FRAMING = badHeader(
  'The body must be framed by Content-Length or by "Transfer-Encoding: chunked", and by one of them only.'
)
const NOMINATED = 'Connection names it (RFC 9110, section 7.6.1)'
/** Bounds the work per line; no mini-program sends nearly as many. */
const MAX_LINES = 1_000
const TOO_LARGE = new ApiError('headers_too_large', 'The request headers are larger than server.limits.headers allows.')

/** RFC 3986, section 3.2.2, without user information. */
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+(?::\d{0,5})?$|^\[[0-9A-Fa-f:.]+\](?::\d{0,5})?$/
export function isHost(text: string): boolean {
  return isPlainHost(text) || HOST.test(text)
}

/** Letters, digits, "-" and "." with an optional port: nearly every Host. */
function isPlainHost(text: string): boolean {
  const colon = text.indexOf(':')
  const end = colon < 0 ? text.length : colon
  for (let index = 0; index < end; index++) if (PLAIN_HOST[text.charCodeAt(index)] !== 1) return false
  return end > 0 && text.length - end <= 6 && isDigits(text, end + 1)
}

/** True for no digits, too. */
function isDigits(text: string, from: number): boolean {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x30 || code > 0x39) return false
  }
  return true
}

const PLAIN_HOST = new Uint8Array(256)
for (const byte of Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.')) PLAIN_HOST[byte] = 1

const MAX_LENGTH_DIGITS = 15
const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/
/** Path segments that are not empty: a proxy may pass on a client's, and backends build links from
 *  it, so `//evil.example` must not reach them. */
const PREFIX = /^(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+\/?$/
/** Version 00, or a later one with unknown parts behind these (W3C Trace Context, section 4.3).
 *  Version ff is invalid. */
const TRACEPARENT = /^(?!ff|00.{54})[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[^,]*)?$/

export interface ReadOptions {
  readonly names: HeaderNames
  readonly peer: Peer
  readonly httpVersion: string
  /** Bytes of all names and values. */
  readonly limit: number
  /** Collect the removed headers with their reasons. */
  readonly explain?: boolean
}

/** @param raw Name and value in turns, as received (`IncomingMessage.rawHeaders`). */
export function readRequestHeaders(raw: readonly string[], options: ReadOptions): RequestHeaders | ApiError {
  const { names, peer } = options
  const kept: string[] = []
  const stripped: Stripped[] = []
  let host: string | undefined
  let authorization: string | undefined
  let contentLength: string | undefined
  let contentType: string | undefined
  let transferEncoding: string | undefined
  let connection: string | undefined
  let forwardedFor: string | undefined
  let forwardedProto: string | undefined
  let forwardedHost: string | undefined
  let forwardedPrefix: string | undefined
  let requestId: string | undefined
  let traceparent: string | undefined
  let tracestate: string | undefined
  let loop: string | undefined
  let methodOverride: string | undefined
  let size = 0

  if (raw.length > 2 * MAX_LINES) return TOO_LARGE
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index] as string
    const value = raw[index + 1] as string
    size += name.length + value.length + 4
    const { fate, why } = names.judge(name)
    if (fate === 'pass') {
      kept.push(name, value)
      continue
    }
    switch (fate) {
      case 'host':
        if (host !== undefined) return DUPLICATE
        host = value
        break
      case 'authorization':
        if (authorization !== undefined) return DUPLICATE
        authorization = value
        break
      case 'content-length':
        if (contentLength !== undefined) return DUPLICATE
        contentLength = value
        break
      case 'content-type':
        if (contentType !== undefined) return DUPLICATE
        contentType = value
        kept.push(name, value)
        continue
      case 'transfer-encoding':
        if (transferEncoding !== undefined) return FRAMING
        transferEncoding = value
        break
      case 'connection':
        connection = connection === undefined ? value : `${connection},${value}`
        break
      case 'x-forwarded-for':
        if (peer.isTrusted) forwardedFor = forwardedFor === undefined ? value : `${forwardedFor}, ${value}`
        break
      case 'x-forwarded-proto':
        if (peer.isTrusted) forwardedProto = value
        break
      case 'x-forwarded-host':
        if (peer.isTrusted) forwardedHost = value
        break
      case 'x-forwarded-prefix':
        if (peer.isTrusted && PREFIX.test(value)) forwardedPrefix = value.replace(/\/$/, '')
        break
      case 'x-request-id':
        if (peer.isTrusted && REQUEST_ID.test(value)) requestId = value
        break
      case 'traceparent':
        if (peer.isTrusted) traceparent = traceparent === undefined ? value : `${traceparent},${value}`
        break
      case 'tracestate':
        if (peer.isTrusted) tracestate = tracestate === undefined ? value : `${tracestate},${value}`
        break
      case 'cdn-loop':
        loop = loop === undefined ? value : `${loop}, ${value}`
        break
      case 'x-http-method-override':
        methodOverride = methodOverride === undefined ? value : `${methodOverride}, ${value}`
        break
      case 'trusted':
        if (!peer.isTrusted) break
        kept.push(name, value)
        continue
      default:
    }
    if (options.explain) stripped.push({ name, why })
  }

  if (size > options.limit) return TOO_LARGE
  // Two lines are joined with a comma, and so are not valid.
  if (traceparent !== undefined) traceparent = TRACEPARENT.test(traceparent) ? asVersion00(traceparent) : undefined
  // It belongs to a traceparent (W3C Trace Context, section 3.3).
  if (tracestate !== undefined && traceparent !== undefined) kept.push('tracestate', tracestate)
  if (host === undefined ? options.httpVersion !== '1.0' : !isHost(host)) return NO_HOST
  const isChunked = transferEncoding !== undefined
  if (isChunked) {
    // RFC 9112, section 6.1: other codings, both framings at once, and chunks in HTTP/1.0 are ways
    // to smuggle requests.
    if (!/^[ \t]*chunked[ \t]*$/i.test(transferEncoding ?? '')) return FRAMING
    if (contentLength !== undefined || options.httpVersion === '1.0') return FRAMING
  }
  if (contentLength !== undefined && !isLength(contentLength)) return FRAMING

  return {
    kept: connection === undefined ? kept : withoutNominated(kept, connection, options.explain ? stripped : null),
    host: host ?? '',
    authorization,
    contentLength: contentLength === undefined ? null : Number(contentLength),
    isChunked,
    forwardedFor,
    forwardedProto,
    forwardedHost,
    forwardedPrefix,
    requestId,
    traceparent,
    loop,
    methodOverride,
    stripped
  }
}

/** Of the flags of a later version, only "sampled" is known. */
function asVersion00(traceparent: string): string {
  if (traceparent.startsWith('00')) return traceparent
  const isSampled = (Number.parseInt(traceparent.slice(53, 55), 16) & 1) === 1
  return `00-${traceparent.slice(3, 53)}${isSampled ? '01' : '00'}`
}

function isLength(text: string): boolean {
  return text !== '' && text.length <= MAX_LENGTH_DIGITS && isDigits(text, 0)
}

/** RFC 9110, section 7.6.1: headers that Connection names stay on this hop. The gateway adds
 *  its own headers later, so Connection cannot remove them. */
function withoutNominated(kept: string[], connection: string, stripped: Stripped[] | null): string[] {
  if (connection === 'keep-alive' || connection === 'close') return kept
  const lower = connection.toLowerCase()
  if (lower === 'keep-alive' || lower === 'close' || lower === 'upgrade') return kept
  const nominated = new Set(lower.split(',').map((token) => token.trim()))
  // Without its type the upstream would guess the type of the body.
  nominated.delete('content-type')
  const rest: string[] = []
  for (let index = 0; index + 1 < kept.length; index += 2) {
    const name = kept[index] as string
    if (nominated.has(name.toLowerCase())) stripped?.push({ name, why: NOMINATED })
    else rest.push(name, kept[index + 1] as string)
  }
  return rest
}
