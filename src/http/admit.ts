/** Admission: reads the target and the headers of a request once, or refuses it. */
import { performance } from 'node:perf_hooks'
import { ApiError } from '../errors.ts'
import type { ClientConnection } from './connections.ts'
import type { HeaderNames } from './headers/header-names.ts'
import { type RequestHeaders, readRequestHeaders } from './headers/request-headers.ts'
import type { Peer, Peers } from './network.ts'
import { type CanonicalPath, canonicalPath, NEEDS_RAW_PERCENT, PathRefusal } from './path/canonical-path.ts'
import { isOwnInDisguise, isOwnPath, SERVER_AS_A_WHOLE } from './path/own-paths.ts'
import { type ClientDescription, type RecordInit, type RecordObserver, RequestRecord } from './record.ts'
import type { AdmittedRequest } from './request.ts'
import { createTraceIds } from './trace-ids.ts'

/** A request line and its header lines, as Node's parser returns them. */
export interface RequestHead {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly httpVersion: string
  /** Name and value in turns. */
  readonly rawHeaders: readonly string[]
}

/** A refused request. Its record is still to be finished. */
export class Refusal {
  readonly record: RequestRecord
  readonly error: ApiError

  constructor(record: RequestRecord, error: ApiError) {
    this.record = record
    this.error = error
    record.refused(error.code)
  }
}

export type Admit = (head: RequestHead, connection: ClientConnection) => AdmittedRequest | Refusal

export interface AdmitOptions {
  /** Bytes. */
  readonly limits: { readonly uri: number; readonly headers: number }
  readonly names: HeaderNames
  readonly peers: Peers
  readonly observer: RecordObserver
  /** Below this path every target counts as the path itself, whatever its spelling. */
  readonly opaque?: string
  /** Accept percent-encoded bytes that are not UTF-8: a route may take them, an own path may
   *  not. */
  readonly allowsRawPercent?: boolean
  /** Collect the removed headers with their reasons. */
  readonly explain?: boolean
  /** Record User-Agent and Referer. */
  readonly recordsClient?: boolean
  /** Default: records without spans. */
  readonly openRecord?: OpenRecord
}

/** Opens the record of a request.
 *  @param headers An error for refused ones. */
export type OpenRecord = (init: RecordInit, headers: RequestHeaders | ApiError, peer: Peer) => RequestRecord

const openPlainRecord: OpenRecord = (init) => new RequestRecord(init)

const URI_TOO_LONG = new ApiError('uri_too_long', 'The request URI is longer than server.limits.uri allows.')
const NOT_HTTP_1 = new ApiError('invalid_request', 'This listener accepts HTTP/1.1 and HTTP/1.0.')
const OWN_IN_DISGUISE = new ApiError('bad_path', 'The path could be read as a path of the gateway itself.')
const OTHER_HOST = new ApiError('bad_header', 'The host in the request-target and the Host header must be the same.')
const FORBIDDEN_METHOD = new ApiError('method_not_allowed', 'CONNECT and TRACE are not allowed.', {
  headers: { allow: '' }
})
const NOT_UTF8 = new ApiError('bad_path', 'The percent-encoded bytes of the path are not UTF-8.')
const LONGEST_LOGGED_PATH = 300

export function createAdmit(options: AdmitOptions): Admit {
  const { limits, names, peers, observer, allowsRawPercent = false, explain = false, recordsClient = false } = options
  const { openRecord = openPlainRecord } = options
  const nextIds = createTraceIds()

  function readHeaders({ httpVersion, rawHeaders }: RequestHead, urlLength: number, peer: Peer) {
    // Node's parser accepts HTTP/0.9 and HTTP/2.0, whose messages have another form.
    if (httpVersion !== '1.1' && httpVersion !== '1.0') return NOT_HTTP_1
    if (urlLength > limits.uri) return URI_TOO_LONG
    return readRequestHeaders(rawHeaders, { names, peer, httpVersion, limit: limits.headers, explain })
  }

  return (head, connection) => {
    const startedAt = performance.now()
    const ids = nextIds()
    const traceId = ids.slice(0, 32)
    const peer = connection.peer(peers)
    const method = head.method ?? ''
    const url = head.url ?? ''
    const headers = readHeaders(head, url.length, peer)
    const opaque = headers instanceof ApiError ? null : opaqueTarget(url, options.opaque)
    const target = opaque ?? readTarget(method, url, headers, allowsRawPercent)
    const told = peer.isTrusted && !(headers instanceof ApiError) ? headers : null
    const init: RecordInit = {
      requestId: told?.requestId ?? traceId,
      traceparent: told?.traceparent ?? `00-${traceId}-${ids.slice(32)}-01`,
      startedAt,
      method,
      path: target instanceof ApiError ? safePath(url) : target.path,
      clientAddress: told === null ? peer.address : peers.clientAddress(peer, told.forwardedFor),
      client: recordsClient ? describeClient(head.rawHeaders) : null,
      observer
    }
    const record = openRecord(init, headers, peer)
    if (headers instanceof ApiError) return new Refusal(record, headers)
    if (target instanceof ApiError) return new Refusal(record, target)
    return { method, target, headers, peer, record }
  }
}

function describeClient(rawHeaders: readonly string[]): ClientDescription {
  const read = (name: string) => {
    for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
      if (rawHeaders[index]?.toLowerCase() === name) return rawHeaders[index + 1] ?? ''
    }
    return ''
  }
  return { userAgent: read('user-agent'), referer: read('referer') }
}

/** Reads a target at or below `prefix` as `prefix` itself with its query; null for any other. */
function opaqueTarget(url: string, prefix: string | undefined): CanonicalPath | null {
  if (prefix === undefined || !url.startsWith(prefix)) return null
  const rest = url.slice(prefix.length)
  if (rest !== '' && rest[0] !== '/' && rest[0] !== '?') return null
  return { path: prefix, query: rest[0] === '?' ? rest : '', needs: 0 }
}

function readTarget(
  method: string,
  url: string,
  headers: RequestHeaders | ApiError,
  allowsRawPercent: boolean
): CanonicalPath | ApiError {
  if (headers instanceof ApiError) return headers
  if (method === 'TRACE' || method === 'CONNECT') return FORBIDDEN_METHOD
  // The target is the server and not a resource (RFC 9110, section 9.3.7).
  if (url === '*' && method === 'OPTIONS') return SERVER_AS_A_WHOLE
  const origin = url.startsWith('/') ? url : originForm(url, headers.host)
  if (origin instanceof ApiError) return origin
  const target = canonicalPath(origin)
  if (target instanceof PathRefusal)
    return new ApiError('bad_path', `${target.reason}. Send the path in its plain form.`)
  const isRaw = (target.needs & NEEDS_RAW_PERCENT) !== 0
  if (isRaw && (!allowsRawPercent || isOwnPath(target.path))) return NOT_UTF8
  return isOwnInDisguise(target) ? OWN_IN_DISGUISE : target
}

/** The origin-form of a target in absolute-form (RFC 9112, section 3.2.2). Other text stays
 *  unchanged, and the path check refuses it. */
function originForm(url: string, host: string): string | ApiError {
  const [, authority, rest = ''] = /^https?:\/\/([^/?#@\\]+)(.*)$/is.exec(url) ?? []
  if (authority === undefined) return url
  if (withoutDefaultPort(authority) !== withoutDefaultPort(host)) return OTHER_HOST
  return rest.startsWith('/') ? rest : `/${rest}`
}

function withoutDefaultPort(authority: string): string {
  return authority.toLowerCase().replace(/:(?:80|443)?$/, '')
}

/** A refused path for the log, with unsafe characters replaced. */
function safePath(url: string): string {
  const path = url.split('?', 1)[0] ?? ''
  return path.slice(0, LONGEST_LOGGED_PATH).replace(/[^\x21-\x7e]|["\\]/g, '?')
}
