/** The path of a proxied request: route, authenticate, build upstream headers, pick a target, dispatch. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Authenticator } from '../access/authenticator.ts'
import { clientKey, type RateLimiter } from '../access/rate-limiter.ts'
import type { GatewayConfig, RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Lifecycle } from '../lifecycle.ts'
import type { OpenDataReader } from '../sessions/open-data.ts'
import type { Revocations } from '../sessions/revocations.ts'
import type { Principal } from '../tokens/principal.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { CanonicalPath } from './canonical-path.ts'
import { Exchange } from './exchange.ts'
import { createFlusher } from './flusher.ts'
import { createLiveSockets } from './live-sockets.ts'
import { type OpenDataBodyOptions, openDataBody, toBodyError } from './open-data-body.ts'
import { BODY_TOO_LARGE } from './request-body.ts'
import { contextOf, type RequestContext } from './request-context.ts'
import {
  buildUpstreamHeaders,
  claimHeaders,
  identityHeaders,
  type Origin,
  type RequestHeaders
} from './request-headers.ts'
import { createResponseHeaders } from './response-headers.ts'
import { createRouteTable } from './route-table.ts'
import { sendProblem, writeProblem } from './send-problem.ts'
import { isWebSocketHandshake, joinWebSocket } from './websocket.ts'

export interface ReverseProxy {
  /** Answers a request that came through the front door. */
  handle(req: IncomingMessage, res: ServerResponse): void
  /** Answers a request to change protocols. `onEnd` is told the status once the connection is over. */
  upgrade(
    req: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    context: RequestContext,
    onEnd: (status: number) => void
  ): void
  /** What `handle` would do, without doing it. */
  decide(method: string, target: CanonicalPath, headers: RequestHeaders): Decision
}

/** Where a request goes and as whom, or why it goes nowhere. */
export interface Decision {
  readonly route: RouteConfig | null
  readonly principal: Principal | null
  readonly error: ApiError | null
  /** For the access log. */
  readonly reason: string
}

export interface ProxyOptions {
  readonly config: GatewayConfig
  readonly authenticator: Authenticator
  readonly revocations: Revocations
  readonly upstreams: Upstreams
  readonly lifecycle: Lifecycle
  readonly openData: OpenDataReader
  /** Null for a route without a limit. */
  readonly limiterOf: (route: RouteConfig) => RateLimiter | null
}

const NO_ROUTE = new ApiError('no_route', 'No route of this gateway matches the path.')
const TOKEN_MISSING = new ApiError(
  'token_missing',
  'This route needs "Authorization: Bearer <access token>". Log in with wx.login first.'
)
const APP_NOT_ALLOWED = new ApiError(
  'app_not_allowed',
  'This route does not accept users of the mini-program that the token was issued for.'
)
const MISSING_CLAIM = new ApiError('forbidden', 'The user does not have a claim that this route requires.')
const NO_UPGRADE = new ApiError(
  'invalid_request',
  'The only protocol to change to is WebSocket, by a GET request as RFC 6455 has it.'
)

export function createProxy(options: ProxyOptions): ReverseProxy {
  const { config, authenticator, revocations, upstreams, lifecycle, openData, limiterOf } = options
  const table = createRouteTable(config.routes)
  const responseHeaders = createResponseHeaders()
  const flusher = createFlusher()
  const liveSockets = createLiveSockets(revocations)
  const { bodyIdleTimeout } = config.server.limits
  const plans = new Map(config.routes.map((route) => [route, createPlan(route)]))

  function createPlan(route: RouteConfig) {
    return {
      upstream: upstreams.get(route.upstream),
      hasClaims: Object.keys(route.inject).length > 0,
      bodyLimits: { limit: route.bodyLimit, idle: bodyIdleTimeout },
      limiter: limiterOf(route),
      /** What a principal's identity looks like on this route, kept for as long as its token is. */
      identities: new WeakMap<Principal, readonly string[]>()
    }
  }

  function decide(method: string, target: CanonicalPath, headers: RequestHeaders): Decision {
    const match = table.match(method, target)
    if (match.kind !== 'route') return refuse(null, matchError(match))
    const { route } = match
    if (route.auth === 'public') return { route, principal: null, error: null, reason: 'public' }
    const sender = authenticator.authenticate(headers.authorization)
    if (sender === null) {
      return route.auth === 'optional'
        ? { route, principal: null, error: null, reason: 'anonymous' }
        : refuse(route, TOKEN_MISSING)
    }
    if (sender instanceof ApiError) return refuse(route, sender)
    if (route.apps !== null && !route.apps.includes(sender.appId)) return refuse(route, APP_NOT_ALLOWED)
    if (!hasClaims(sender, route.require)) return refuse(route, MISSING_CLAIM)
    return { route, principal: sender, error: null, reason: 'token' }
  }

  /** decide, written into the context. */
  function admit(context: RequestContext, target: CanonicalPath, headers: RequestHeaders): Decision {
    const decision = decide(context.method, target, headers)
    context.route = decision.route
    context.principal = decision.principal
    context.reason = decision.reason
    context.isGranted = decision.error === null
    return decision
  }

  function identityOf(route: RouteConfig, principal: Principal): readonly string[] {
    const plan = plans.get(route)
    const status = revocations.statusOf(principal)
    const isCacheable = status === principal.status
    const known = isCacheable ? plan?.identities.get(principal) : undefined
    if (known) return known
    const headers = identityHeaders(principal, route.identityHeaders, status)
    if (plan?.hasClaims) headers.push(...claimHeaders(route.inject, principal.claims))
    if (isCacheable) plan?.identities.set(principal, headers)
    return headers
  }

  function upstreamHeaders(
    route: RouteConfig,
    principal: Principal | null,
    context: RequestContext,
    headers: RequestHeaders
  ) {
    const identity = principal === null ? null : identityOf(route, principal)
    return buildUpstreamHeaders(headers, route, originOf(context, headers), identity)
  }

  /** All sessions of a user share one count; who is not known is counted by address. */
  function limitKey(route: RouteConfig, { principal, clientAddress }: RequestContext): string {
    const byUser = route.rateLimit?.by === 'user' && principal !== null
    return byUser ? `${principal.appId}:${principal.openId}` : clientKey(clientAddress)
  }

  function startWithOpenData(
    exchange: Exchange,
    req: IncomingMessage,
    request: Omit<OpenDataBodyOptions, 'openData'>
  ): void {
    openDataBody(req, { ...request, openData }).then(
      (body) => exchange.startWith(body),
      (error) => exchange.refuse(toBodyError(error))
    )
  }

  return {
    decide,

    handle(req, res) {
      const context = contextOf(req)
      const { target, headers } = context
      if (target === null || headers === null) return
      const { route, principal, error } = admit(context, target, headers)
      if (error !== null || route === null) {
        sendProblem(req, res, error ?? NO_ROUTE, context)
        return
      }
      const plan = plans.get(route)
      if (!plan) return
      const bodyLength = headers.isChunked ? -1 : (headers.contentLength ?? 0)
      if (bodyLength > route.bodyLimit) {
        context.reason = BODY_TOO_LARGE.code
        sendProblem(req, res, BODY_TOO_LARGE, context)
        return
      }
      // The body of a GET or HEAD has no meaning (RFC 9110, section 9.3.1) and is left where it is.
      const hasBody = bodyLength !== 0 && context.method !== 'GET' && context.method !== 'HEAD'
      const outgoing = upstreamHeaders(route, principal, context, headers)
      const isRead = hasBody && route.openData
      if (hasBody && bodyLength > 0 && !isRead) outgoing.push('content-length', String(bodyLength))
      const exchange = new Exchange({
        req,
        res,
        context,
        route,
        upstream: plan.upstream,
        path: upstreamPath(route, target),
        headers: outgoing,
        hasBody,
        bodyLimits: plan.bodyLimits,
        responseHeaders,
        flusher,
        lifecycle,
        balanceKey: principal === null ? null : principal.openId
      })
      const start = () => {
        if (isRead) startWithOpenData(exchange, req, { principal, headers, limits: plan.bodyLimits, outgoing })
        else exchange.start()
      }
      if (plan.limiter === null) start()
      else plan.limiter.hit(limitKey(route, context)).then(start, (error) => exchange.refuse(toLimitError(error)))
    },

    upgrade(req, socket, head, context, onEnd) {
      const { target, headers } = context
      if (target === null || headers === null) return
      const { route, principal, error } = admit(context, target, headers)
      const plan = route === null ? undefined : plans.get(route)
      const refusal = error ?? (isWebSocketHandshake(req) ? null : NO_UPGRADE)
      if (refusal !== null || route === null || !plan) {
        writeProblem(socket, refusal ?? NO_ROUTE, context.requestId)
        onEnd((refusal ?? NO_ROUTE).status)
        return
      }
      joinWebSocket({
        req,
        socket,
        head,
        context,
        upstream: plan.upstream,
        route,
        path: upstreamPath(route, target),
        headers: upstreamHeaders(route, principal, context, headers),
        responseHeaders,
        balanceKey: principal === null ? null : principal.openId,
        onOpen(end) {
          if (principal === null) return () => {}
          return liveSockets.watch(principal, () => {
            context.reason = 'session_revoked'
            end()
          })
        },
        onEnd
      })
    }
  }
}

function toLimitError(error: unknown): ApiError {
  return error instanceof ApiError
    ? error
    : new ApiError('store_unavailable', 'The limit of this route cannot be told. Try again shortly.')
}

function refuse(route: RouteConfig | null, error: ApiError): Decision {
  return { route, principal: null, error, reason: error.code }
}

function matchError(
  match:
    | { kind: 'none' }
    | { kind: 'guarded' }
    | { kind: 'method'; allow: string }
    | { kind: 'ambiguous'; reason: string }
): ApiError {
  if (match.kind === 'none' || match.kind === 'guarded') return NO_ROUTE
  if (match.kind === 'ambiguous') return new ApiError('bad_path', `${match.reason}. Send the path in its plain form.`)
  return new ApiError('method_not_allowed', `This route accepts ${match.allow}.`, { headers: { allow: match.allow } })
}

/** One of the values listed for every claim the route names. */
export function hasClaims(principal: Principal, required: RouteConfig['require']): boolean {
  for (const name in required) {
    const accepted = required[name] ?? []
    const value = Object.hasOwn(principal.claims, name) ? principal.claims[name] : undefined
    const values = Array.isArray(value) ? value : [value]
    if (!values.some((item) => item !== undefined && accepted.includes(String(item)))) return false
  }
  return true
}

/** The canonical path without the prefix that the route strips; always starts with `/`, so it can never reach into the
 *  authority of a URL. */
export function upstreamPath(route: RouteConfig, { path, query }: CanonicalPath): string {
  if (route.stripPrefix === null || route.stripPrefix === '/') return query === '' ? path : path + query
  const rest = path.slice(route.stripPrefix.length)
  return (rest === '' ? '/' : rest) + query
}

function originOf(context: RequestContext, headers: RequestHeaders): Origin {
  const { peer } = context
  return {
    requestId: context.requestId,
    traceparent: context.traceparent,
    forwardedFor: headers.forwardedFor === undefined ? peer.address : `${headers.forwardedFor}, ${peer.address}`,
    forwardedProto: headers.forwardedProto ?? peer.proto,
    forwardedHost: headers.forwardedHost ?? headers.host
  }
}
