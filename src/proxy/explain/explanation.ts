/** Finds the way of a request with the code that would serve it. Sends nothing. */
import type { GatewayConfig, RouteConfig } from '../../config/config.ts'
import type { ApiError } from '../../errors.ts'
import { createAdmit, Refusal } from '../../http/admit.ts'
import { ClientConnection } from '../../http/connections.ts'
import type { HeaderNames } from '../../http/headers/header-names.ts'
import type { Stripped } from '../../http/headers/request-headers.ts'
import { canonicalAddress, createPeers } from '../../http/network.ts'
import { isOwnPath, SERVER_AS_A_WHOLE } from '../../http/path/own-paths.ts'
import { covers } from '../../http/path/prefix.ts'
import type { AdmittedRequest } from '../../http/request.ts'
import type { Decision } from '../../routing/authorize.ts'
import type { ReverseProxy } from '../proxy.ts'
import { upstreamPath } from '../upstream-head.ts'
import { removedBy, sentHeaders } from './explained-headers.ts'
import { type ExplainedRequest, unreadable } from './explained-request.ts'

export interface ExplainedRoute {
  readonly path: string
  readonly methods: readonly string[] | null
  /** Its place in the file: `gateway.yaml:14`; without a file its place in the list. */
  readonly place: string
  readonly upstream: string
  readonly auth: RouteConfig['auth']
}

export interface Explanation {
  readonly request: {
    readonly method: string
    readonly target: string
    readonly from: string
    readonly isTrusted: boolean
  }
  /** Null when the target was refused. */
  readonly path: string | null
  readonly route: ExplainedRoute | null
  /** The reason for this route, or for no route. */
  readonly why: string
  /** Other routes that cover the path, the most specific first. */
  readonly alsoCovering: readonly ExplainedRoute[]
  readonly auth: {
    /** A word of the access log: `token`, `public`, `anonymous`, `own`, or the code of the
     *  error. */
    readonly verdict: string
    readonly principal: ExplainedPrincipal | null
    readonly notes: readonly string[]
  }
  readonly outcome: 'forwarded' | 'own' | 'refused'
  /** Null when the upstream or an endpoint of the gateway answers. */
  readonly answer: { readonly status: number; readonly code: string; readonly detail: string } | null
  readonly upstream: {
    readonly name: string
    readonly isVariant: boolean
    readonly method: string
    readonly path: string
    readonly headers: readonly (readonly [string, string])[]
  } | null
  readonly stripped: readonly Stripped[]
}

export interface ExplainedPrincipal {
  readonly app: string
  readonly user: string
  readonly session: string
  readonly status: string
  readonly expiresAt: string
}

export interface ExplainDeps {
  readonly config: Pick<GatewayConfig, 'server' | 'upstreams' | 'routes'>
  readonly proxy: Pick<ReverseProxy, 'preview'>
  readonly names: HeaderNames
  /** Place of the route with this index in the configuration. */
  readonly placeOf: (index: number) => string
  /** False until the gateway has made its secret. */
  readonly isSecretKnown: boolean
  /** True for a running gateway: it refuses the token of a session that was ended. */
  readonly knowsSessions: boolean
}

export function explainRequest(deps: ExplainDeps, request: ExplainedRequest): Explanation {
  const { config, proxy, names } = deps
  const { method, target: url, from } = request
  const hasHost = request.rawHeaders.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  const rawHeaders = hasHost ? [...request.rawHeaders] : ['Host', 'localhost', ...request.rawHeaders]
  const peers = createPeers({ trusted: config.server.trustedProxies })
  const connection = new ClientConnection(canonicalAddress(from), config.server.tls !== null)
  const { limits } = config.server
  const admit = createAdmit({
    limits,
    names,
    peers,
    observer: { finished() {} },
    allowsRawPercent: true,
    explain: true
  })
  const admission = admit({ method, url, httpVersion: '1.1', rawHeaders }, connection)
  const admitted = admission instanceof Refusal ? null : admission
  const refusal = unreadable(request, limits.uri) ?? (admission instanceof Refusal ? admission.error : null)
  const nothing = {
    request: { method, target: url, from, isTrusted: connection.peer(peers).isTrusted },
    path: admitted?.target.path ?? null,
    route: null,
    alsoCovering: [],
    upstream: null,
    stripped: admitted?.headers.stripped ?? []
  }
  if (refusal !== null || admitted === null) {
    const why = 'the request does not get as far as the routes'
    const verdict = notAsked(refusal?.code ?? '')
    return { ...nothing, why, auth: verdict, outcome: 'refused', answer: refusal && answerOf(refusal) }
  }
  const { target, headers } = admitted
  if (target === SERVER_AS_A_WHOLE || isOwnPath(target.path)) {
    const why = 'the path belongs to the gateway itself, and no route can name it'
    return { ...nothing, why, auth: notAsked('own'), outcome: 'own', answer: null }
  }
  const { decision, head } = proxy.preview(admitted)
  const { route, match, error } = decision
  const fixed = config.upstreams.find(({ name }) => name === route?.upstream)?.headers ?? {}
  const place = (one: RouteConfig) => {
    const index = config.routes.findIndex((route) => isSameRoute(route, one))
    return describeRoute(config.routes[index] ?? one, deps.placeOf(index))
  }
  const covering = config.routes
    .filter(({ path }) => covers(path, target.path))
    .sort((a, b) => b.path.length - a.path.length)
  return {
    ...nothing,
    route: route && place(route),
    why: whyRoute(route, match.kind === 'guarded' ? match.route : null, error, covering),
    alsoCovering: covering.filter((other) => !isSameRoute(other, route)).map(place),
    auth: authOf(admitted, decision, deps),
    outcome: head !== null ? 'forwarded' : error === null ? 'own' : 'refused',
    answer: error && answerOf(error),
    upstream: head &&
      route && {
        name: route.upstream,
        isVariant: place(route).upstream !== route.upstream,
        method: decision.request.method,
        path: head.path,
        headers: sentHeaders(head, fixed)
      },
    stripped: [...headers.stripped, ...removedBy(route, fixed, headers)]
  }
}

/** The route table holds a copy of each route together with its plan. */
function isSameRoute({ path, methods }: RouteConfig, route: RouteConfig | null): boolean {
  return route !== null && path === route.path && methods === route.methods
}

function whyRoute(
  route: RouteConfig | null,
  guardedBy: RouteConfig | null,
  error: ApiError | null,
  covering: readonly RouteConfig[]
): string {
  if (guardedBy !== null)
    return `${guardedBy.path} would take it, but a server that ignores case or decodes more could read the path as one that a stricter route protects`
  if (route === null) return error?.code === 'no_route' ? 'no route covers the path' : (error?.detail ?? '')
  const rivals = covering.filter(({ path }) => path === route.path).length
  const length = covering.length > rivals ? 'the longest path that covers it' : 'the only path that covers it'
  return rivals > 1 ? `${length}, and the best match for the method` : length
}

function authOf(
  { method, target, headers, record }: AdmittedRequest,
  decision: Decision,
  { isSecretKnown, knowsSessions }: ExplainDeps
): Explanation['auth'] {
  const { route } = decision
  const principal = decision.error === null ? decision.principal : null
  const notes: string[] = []
  if (principal !== null && !knowsSessions) notes.push('whether the session was ended is not known here')
  if (record.reason === 'token_missing' && route !== null) {
    const name = { wxgate: 'X-OpenId', cloudrun: 'X-WX-OPENID', wafer: 'X-WX-Skey' }[route.identity.headers]
    notes.push(
      `with a token that is accepted ${route.upstream} gets ${method} ${upstreamPath(route, target)}, and ${name} with it`
    )
  }
  if (record.reason === 'preflight') notes.push('the gateway answers the preflight itself (cors)')
  if (route?.channel) notes.push('the request has to be encrypted (channel)')
  if (headers.authorization !== undefined && route?.auth === 'public') notes.push('the token is not looked at')
  else if (headers.authorization !== undefined && !isSecretKnown)
    notes.push('the gateway has not made its secret yet, so no token can be valid')
  return {
    verdict: record.reason,
    principal: principal && {
      app: principal.appId,
      user: principal.userId,
      session: principal.sessionId,
      status: principal.status,
      expiresAt: new Date(principal.expiresAt).toISOString()
    },
    notes
  }
}

function notAsked(verdict: string): Explanation['auth'] {
  return { verdict, principal: null, notes: [] }
}

function answerOf({ status, code, detail }: ApiError) {
  return { status, code, detail }
}

function describeRoute({ path, methods, upstream, auth }: RouteConfig, place: string): ExplainedRoute {
  return { path, methods, place, upstream, auth }
}
