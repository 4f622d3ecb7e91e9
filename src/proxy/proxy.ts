/** The path of a proxied request: route, authenticate, build upstream headers, pick a target, dispatch. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GatewayConfig, RouteConfig } from '../config/config.ts'
import { ApiError, toApiError } from '../errors.ts'
import { sendProblem, writeProblem } from '../http/answer/send-problem.ts'
import type { RequestHeaders } from '../http/headers/request-headers.ts'
import { createResponseHeaders } from '../http/headers/response-headers.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { CanonicalPath } from '../http/path/canonical-path.ts'
import { contextOf, type RequestContext } from '../http/record.ts'
import { CLIENT_LEFT, type StrangerQueue } from '../http/unverified-queue.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import type { Revocations } from '../identity/revocations.ts'
import { createDecide, type Decision, NO_ROUTE } from '../routing/authorize.ts'
import { clientKey, type RateLimiter } from '../routing/rate-limiter.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import { Exchange } from './exchange.ts'
import { createFlusher } from './flusher.ts'
import { createLiveSockets } from './live-sockets.ts'
import { type OpenDataBodyOptions, openDataBody } from './transforms/open-data.ts'
import { createOutgoing, type Outgoing } from './upstream-head.ts'
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
  /** What `handle` would do with a request that came through the front door, without doing it. */
  preview(context: RequestContext): { decision: Decision; outgoing: Outgoing | null } | null
}

export interface ProxyOptions {
  readonly config: GatewayConfig
  readonly authenticator: Authenticator
  readonly revocations: Revocations
  readonly upstreams: Upstreams
  readonly lifecycle: Lifecycle
  readonly openData: OpenDataReader
  readonly strangers: StrangerQueue
  /** Null for a route without a limit. */
  readonly limiterOf: (route: RouteConfig) => RateLimiter | null
}

const NO_UPGRADE = new ApiError(
  'invalid_request',
  'The only protocol to change to is WebSocket, by a GET request as RFC 6455 has it.'
)

export function createProxy(options: ProxyOptions): ReverseProxy {
  const { config, authenticator, revocations, upstreams, lifecycle, openData, strangers, limiterOf } = options
  const decide = createDecide(config.routes, authenticator)
  const build = createOutgoing(config.routes, revocations)
  const responseHeaders = createResponseHeaders()
  const flusher = createFlusher()
  const liveSockets = createLiveSockets(revocations)
  const { bodyIdleTimeout } = config.server.limits
  const plans = new Map(config.routes.map((route) => [route, createPlan(route)]))

  function createPlan(route: RouteConfig) {
    return {
      upstream: upstreams.get(route.upstream),
      bodyLimits: { limit: route.bodyLimit, idle: bodyIdleTimeout },
      limiter: limiterOf(route)
    }
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
      (error) => exchange.refuse(toApiError(error))
    )
  }

  function forward(
    req: IncomingMessage,
    res: ServerResponse,
    context: RequestContext,
    { route, principal }: Decision,
    target: CanonicalPath,
    headers: RequestHeaders
  ): void {
    const plan = route === null ? undefined : plans.get(route)
    if (route === null || !plan) return
    const { path, headers: outgoing, hasBody } = build(context, route, target, headers)
    const isRead = hasBody && route.openData
    const exchange = new Exchange({
      req,
      res,
      context,
      route,
      upstream: plan.upstream,
      path,
      headers: outgoing,
      hasBody,
      bodyLimits: plan.bodyLimits,
      responseHeaders,
      flusher,
      lifecycle,
      balanceKey: principal === null ? null : principal.openId
    })
    if (plan.limiter === null && !isRead) {
      exchange.start()
      return
    }
    const start = () => {
      if (isRead) startWithOpenData(exchange, req, { principal, headers, limits: plan.bodyLimits, outgoing })
      else exchange.start()
    }
    if (plan.limiter === null) start()
    else plan.limiter.hit(limitKey(route, context)).then(start, (error) => exchange.refuse(toApiError(error)))
  }

  return {
    preview(context) {
      const { target, headers } = context
      if (target === null || headers === null) return null
      const decision = admit(context, target, headers)
      const { route, error } = decision
      return { decision, outgoing: error === null && route ? build(context, route, target, headers) : null }
    },

    handle(req, res) {
      const context = contextOf(req)
      const { target, headers } = context
      if (target === null || headers === null) return
      if (authenticator.remembers(headers.authorization)) {
        const decision = admit(context, target, headers)
        const { error } = decision
        if (error === null) forward(req, res, context, decision, target, headers)
        else strangers.add(res, () => sendProblem(req, res, error, context))
        return
      }
      context.reason = CLIENT_LEFT
      strangers.add(res, () => {
        const decision = admit(context, target, headers)
        if (decision.error === null) forward(req, res, context, decision, target, headers)
        else sendProblem(req, res, decision.error, context)
      })
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
      const outgoing = build(context, route, target, headers)
      const start = () => {
        // The client may have left while its count was looked up.
        if (socket.destroyed) {
          onEnd(499)
          return
        }
        joinWebSocket({
          req,
          socket,
          head,
          context,
          upstream: plan.upstream,
          route,
          path: outgoing.path,
          headers: outgoing.headers,
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
      const refuse = (error: ApiError) => {
        context.isGranted = false
        context.reason = error.code
        writeProblem(socket, error, context.requestId)
        onEnd(error.status)
      }
      if (plan.limiter === null) start()
      else plan.limiter.hit(limitKey(route, context)).then(start, (error) => refuse(toApiError(error)))
    }
  }
}
