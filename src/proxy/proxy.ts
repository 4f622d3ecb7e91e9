/** The steps of a proxied request: authorize, build the upstream head, limit, exchange. */
import type { Duplex } from 'node:stream'
import type { Clock } from '../clock.ts'
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { writeProblem } from '../http/answer/send-problem.ts'
import type { ClientSide } from '../http/client-side.ts'
import type { Guard } from '../http/guard.ts'
import { HSTS, isHttps } from '../http/headers/hsts.ts'
import { createResponseHeaders } from '../http/headers/response-headers.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import { networkKey } from '../http/network.ts'
import { CLIENT_CLOSED_REQUEST } from '../http/record.ts'
import type { AdmittedRequest } from '../http/request.ts'
import { CLIENT_LEFT, type UnverifiedQueue } from '../http/unverified-queue.ts'
import type { Authenticator, Sender } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'
import type { WaferKeys } from '../identity/wafer-keys.ts'
import {
  createAuthorize,
  type Decision,
  type Granted,
  type Preflight,
  type Refused,
  WRONG_ORIGIN
} from '../routing/authorize.ts'
import type { Cors } from '../routing/cors.ts'
import { rateLimitHeaders } from '../routing/rate-limit-headers.ts'
import { Exchange } from './exchange.ts'
import { createFlusher } from './flusher.ts'
import type { LiveConnections } from './live-connections.ts'
import type { PlannedRoute } from './plan.ts'
import { createPlanner, type PlannerDeps } from './planner.ts'
import type { BodyTransform } from './transforms/transform.ts'
import { createUpstreamHead, type UpstreamHead } from './upstream-head.ts'
import { joinWebSocket } from './websocket.ts'

const LOOP = new ApiError('loop_detected', 'The target of this route leads back to this gateway.')

const NO_WEBSOCKET = new ApiError('channel_invalid', 'A route with an encrypted channel takes no WebSocket.')

export interface ReverseProxy {
  handle(request: AdmittedRequest, client: ClientSide): void
  /** Answers a WebSocket handshake. Calls `onEnd` with the status once the connection is over. */
  upgrade(request: AdmittedRequest, socket: Duplex, head: Buffer, onEnd: (status: number) => void): void
  /** Returns the decision about a request and the head for its upstream; sends nothing. */
  preview(request: AdmittedRequest): { readonly decision: Decision; readonly head: UpstreamHead | null }
}

export interface ProxyDeps extends PlannerDeps {
  readonly clock: Clock
  readonly routes: readonly RouteConfig[]
  /** The same for every instance with this configuration, and for no other. */
  readonly loopId: string
  readonly authenticator: Authenticator
  readonly revocations: Pick<Revocations, 'statusOf'>
  /** WebSockets and event streams. */
  readonly live: Pick<LiveConnections, 'add' | 'remove'>
  readonly lifecycle: Pick<Lifecycle, 'isDraining'>
  readonly waferKeys: Pick<WaferKeys, 'headers'>
  readonly unverified: UnverifiedQueue
  readonly guard: Guard
  /** Answers of upstreams get Server-Timing. */
  readonly serverTiming: boolean
  /** Value of Strict-Transport-Security on answers over https; null for none. */
  readonly hsts: string | null
}

export function createProxy(deps: ProxyDeps): ReverseProxy {
  const {
    clock,
    loopId,
    authenticator,
    revocations,
    waferKeys,
    live,
    lifecycle,
    unverified,
    guard,
    serverTiming,
    hsts
  } = deps
  const authorize = createAuthorize(deps.routes.map(createPlanner(deps)), authenticator)
  const buildHead = createUpstreamHead({ revocations, waferKeys, loopId })
  const responseHeaders = createResponseHeaders()
  const exchangeParts = { responseHeaders, flusher: createFlusher(), lifecycle, clock, guard, live, serverTiming, hsts }

  function decide(admitted: AdmittedRequest, known?: Sender): Decision<PlannedRoute> {
    const decision = withVariant(withoutLoop(authorize(admitted, known)))
    const { record, method } = decision.request
    if (method !== admitted.method) record.actsAs(method)
    if (decision.error === null) record.granted(decision.reason, decision.route, decision.principal)
    else record.refused(decision.error.code, decision.route)
    return decision
  }

  function withoutLoop(decision: Decision<PlannedRoute>): Decision<PlannedRoute> {
    const { loop } = decision.request.headers
    if (decision.error !== null || loop === undefined || !loop.includes(loopId)) return decision
    return { error: LOOP, route: decision.route, match: decision.match, request: decision.request }
  }

  /** Headers of the gateway's own answers to the request. */
  function addAnswerHeaders(client: ClientSide, request: AdmittedRequest, cors: Cors | null): void {
    if (hsts === null || !isHttps(request)) {
      if (cors !== null) client.answerWith(cors.answerHeaders(request))
    } else client.answerWith([HSTS, hsts, ...(cors?.answerHeaders(request) ?? [])])
  }

  function serve(decision: Granted<PlannedRoute> | Preflight<PlannedRoute>, client: ClientSide): void {
    if (decision.reason === 'preflight') {
      client.noContent(decision.headers)
      return
    }
    addAnswerHeaders(client, decision.request, decision.route.plan.cors)
    forward(decision, client)
  }

  function refuse({ error, route, request }: Refused<PlannedRoute>, client: ClientSide): void {
    addAnswerHeaders(client, request, route === null ? null : route.plan.cors)
    client.refuse(error, request.record.requestId)
  }

  function forward({ route, principal, request }: Granted<PlannedRoute>, client: ClientSide): void {
    const head = buildHead(request, route, principal)
    const exchange = new Exchange(exchangeParts, { client, request, route, head, principal })
    const { limiter, bodies, concurrency } = route.plan
    if (limiter === null && concurrency === null && !isTransformed(bodies, head)) exchange.start()
    else
      prepare(exchange, request, { route, principal, head }, client).catch((error: unknown) =>
        guard.failed(client, error)
      )
  }

  /** The steps before an exchange: both limits, the transform of the body. */
  async function prepare(
    exchange: Exchange,
    request: AdmittedRequest,
    { route, principal, head }: { route: PlannedRoute; principal: Principal | null; head: UpstreamHead },
    client: ClientSide
  ): Promise<void> {
    const { limiter, concurrency, bodies, bodyLimits: limits, upstream } = route.plan
    try {
      if (limiter !== null) {
        const headers = Object.entries(rateLimitHeaders(await limiter.hit(limitKey(route, request, principal)))).flat()
        exchange.addedHeaders = headers
      }
      // The client may have disconnected while its count was read.
      const isCounted = concurrency !== null && !client.destroyed
      const refusal = isCounted ? concurrency.enter((leave) => client.onceClosed(leave)) : null
      if (refusal !== null) throw refusal
      if (!isTransformed(bodies, head)) return exchange.start()
      const { method, target, headers } = request
      const { bodyLength, headers: upstreamHeaders } = head
      const hasBody = bodyLength !== 0
      const idleMs = upstream.config.timeouts.idle
      const transformed = { client, method, target, hasBody, principal, headers, limits, idleMs, upstreamHeaders }
      exchange.start(await bodies.apply(transformed))
    } catch (error) {
      exchange.refuse(guard.toApiError(error, request.record))
    }
  }

  return {
    preview(request) {
      const decision = decide(request)
      const isForwarded = decision.error === null && decision.reason !== 'preflight'
      const head = isForwarded ? buildHead(decision.request, decision.route, decision.principal) : null
      return { decision, head }
    },

    handle(request, client) {
      const known = authenticator.recall(request.headers.authorization)
      if (known !== undefined) {
        const decision = decide(request, known)
        if (decision.error === null) serve(decision, client)
        else unverified.add(client, () => refuse(decision, client))
        return
      }
      request.record.failed(CLIENT_LEFT)
      unverified.add(client, () => {
        const decision = decide(request)
        if (decision.error === null) serve(decision, client)
        else refuse(decision, client)
      })
    },

    upgrade(request, socket, head, onEnd) {
      const { record } = request
      const refuse = (error: ApiError) => {
        record.refused(error.code)
        writeProblem(socket, error, record.requestId)
        onEnd(error.status)
      }
      const join = async () => {
        const decision = decide(request)
        if (decision.error !== null) return refuse(decision.error)
        const { route, principal } = decision
        if (route.channel) return refuse(NO_WEBSOCKET)
        const { limiter, concurrency, cors } = route.plan
        if (cors?.isForeign(request)) return refuse(WRONG_ORIGIN)
        const { path, headers, own, host } = buildHead(request, route, principal)
        await limiter?.hit(limitKey(route, request, principal))
        // The client may have disconnected while its count was read.
        if (socket.destroyed) return onEnd(CLIENT_CLOSED_REQUEST)
        const refusal = concurrency === null ? null : concurrency.enter((leave) => socket.once('close', leave))
        if (refusal !== null) return refuse(refusal)
        joinWebSocket({
          socket,
          head,
          request,
          route,
          path,
          headers,
          own,
          host,
          responseHeaders,
          clock,
          guard,
          balanceKey: principal === null ? null : principal.openId,
          session: principal && { principal, authorization: request.headers.authorization },
          live,
          onEnd
        })
      }
      const start = () => void join().catch((error: unknown) => refuse(guard.toApiError(error, record)))
      if (authenticator.recall(request.headers.authorization) !== undefined) start()
      else unverified.add(socket, start)
    }
  }
}

/** The decision with the route of the variant that fits. */
function withVariant(decision: Decision<PlannedRoute>): Decision<PlannedRoute> {
  if (decision.error !== null || decision.reason === 'preflight') return decision
  const { variantFor } = decision.route.plan
  const route = variantFor === null ? null : variantFor(decision.request.headers.kept, decision.principal)
  return route === null ? decision : { ...decision, route }
}

/** All sessions of a user share one count; a request without a principal counts for its network. */
function limitKey(route: RouteConfig, { record }: AdmittedRequest, principal: Principal | null): string {
  const isByUser = route.rateLimit?.by === 'user' && principal !== null
  return isByUser ? `${principal.appId}:${principal.openId}` : networkKey(record.clientAddress)
}

function isTransformed(bodies: BodyTransform | null, { bodyLength }: UpstreamHead): bodies is BodyTransform {
  return bodies !== null && (bodyLength !== 0 || !bodies.needsBody)
}
