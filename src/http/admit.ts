/** Where every request enters: its target and its headers are read once, or it is refused. */
import type { IncomingMessage } from 'node:http'
import type { GatewayConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { createHeaderNames } from './headers/header-names.ts'
import { readRequestHeaders } from './headers/request-headers.ts'
import { createPeers, type PeerConnection, type Peers } from './network.ts'
import { canonicalPath, PathRefusal } from './path/canonical-path.ts'
import { isOwnInDisguise } from './path/own-paths.ts'
import type { RequestContext } from './record.ts'
import { createTraceIds } from './trace-ids.ts'

/** As much of a request as there is before its body. */
export interface RequestHead extends Pick<IncomingMessage, 'httpVersion' | 'rawHeaders'> {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly socket: PeerConnection
}

export interface FrontDoor {
  readonly peers: Peers
  /** The context of a request, and why it may go no further, if so. The target of `OPTIONS *` is null without an error. */
  admit(req: RequestHead): { context: RequestContext; error: ApiError | null }
}

const URI_TOO_LONG = new ApiError('uri_too_long', 'The request URI is longer than server.limits.uri allows.')
const NOT_HTTP_1 = new ApiError('invalid_request', 'The gateway speaks HTTP/1.1 and HTTP/1.0 here.')
const OWN_IN_DISGUISE = new ApiError('bad_path', 'The path could be read as one of the gateway itself.')
const FORBIDDEN_METHOD = new ApiError('method_not_allowed', 'CONNECT and TRACE are never allowed.', {
  headers: { allow: '' }
})

/** @param explain Keep a record of the headers that are taken off. */
export function createFrontDoor(config: GatewayConfig, { explain = false } = {}): FrontDoor {
  const { limits, trustedProxies } = config.server
  const names = createHeaderNames(
    config.routes.flatMap((route) => [...Object.keys(route.requestHeaders.set), ...Object.keys(route.inject)])
  )
  const peers = createPeers(trustedProxies)
  const nextIds = createTraceIds()

  return {
    peers,
    admit(req) {
      const peer = peers.of(req.socket)
      const ids = nextIds()
      const traceId = ids.slice(0, 32)
      const context: RequestContext = {
        requestId: traceId,
        traceparent: `00-${traceId}-${ids.slice(32)}-01`,
        startedAt: performance.now(),
        method: req.method ?? '',
        peer,
        clientAddress: peer.address,
        target: null,
        headers: null,
        route: null,
        principal: null,
        reason: '',
        isGranted: false,
        upstreamTime: -1,
        underWay: null
      }
      // Node's parser lets HTTP/0.9 and HTTP/2.0 pass, whose messages look different.
      if (req.httpVersion !== '1.1' && req.httpVersion !== '1.0') return { context, error: NOT_HTTP_1 }
      const url = req.url ?? ''
      if (url.length > limits.uri) return { context, error: URI_TOO_LONG }
      const headers = readRequestHeaders(req.rawHeaders, {
        names,
        peer,
        httpVersion: req.httpVersion,
        limit: limits.headers,
        explain
      })
      if (headers instanceof ApiError) return { context, error: headers }
      if (peer.isTrusted) {
        context.clientAddress = peers.clientAddress(peer, headers)
        if (headers.requestId !== undefined) context.requestId = headers.requestId
        if (headers.traceparent !== undefined) context.traceparent = headers.traceparent
      }
      if (context.method === 'TRACE' || context.method === 'CONNECT') return { context, error: FORBIDDEN_METHOD }
      context.headers = headers
      if (url === '*' && context.method === 'OPTIONS') return { context, error: null }
      const target = canonicalPath(url)
      if (target instanceof PathRefusal) return { context, error: refuse(target) }
      if (isOwnInDisguise(target)) return { context, error: OWN_IN_DISGUISE }
      context.target = target
      return { context, error: null }
    }
  }
}

function refuse({ reason }: PathRefusal): ApiError {
  return new ApiError('bad_path', `${reason}. Send the path in its plain form.`)
}
