/** Resolves route and principal of a request, or the error that refuses it. */
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { BODY_TOO_LARGE } from '../http/body/request-body.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import type { Gate } from './gate.ts'
import { createRouteTable, type Match } from './route-table.ts'

/** A route with its checks, prepared. */
export interface GuardedRoute extends RouteConfig {
  readonly plan: {
    /** Null: accepts every request. */
    readonly gate: Gate | null
  }
}

export type Decision<R extends RouteConfig = RouteConfig> = Granted<R> | Refused<R>

export interface Granted<R> {
  readonly error: null
  readonly route: R
  readonly principal: Principal | null
  readonly reason: 'token' | 'public' | 'anonymous'
  readonly match: Match<R>
}

export interface Refused<R> {
  readonly error: ApiError
  /** Null without a matching route. */
  readonly route: R | null
  readonly match: Match<R>
}

export type Authorize<R extends RouteConfig> = (request: AdmittedRequest) => Decision<R>

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

export function createAuthorize<R extends GuardedRoute>(
  routes: readonly R[],
  authenticator: Authenticator
): Authorize<R> {
  const table = createRouteTable(routes)

  function grant(match: Match<R> & { kind: 'route' }, authorization: string | undefined): Decision<R> {
    const { route } = match
    if (route.auth === 'public') return { error: null, route, principal: null, reason: 'public', match }
    const sender = authenticator.authenticate(authorization)
    if (sender === null) {
      if (route.auth === 'optional') return { error: null, route, principal: null, reason: 'anonymous', match }
      return { error: TOKEN_MISSING, route, match }
    }
    if (sender instanceof ApiError) return { error: sender, route, match }
    if (route.apps !== null && !route.apps.includes(sender.appId)) return { error: APP_NOT_ALLOWED, route, match }
    if (!hasClaims(sender, route.require)) return { error: MISSING_CLAIM, route, match }
    return { error: null, route, principal: sender, reason: 'token', match }
  }

  return ({ method, target, headers, record }) => {
    const match = table.match(method, target)
    if (match.kind !== 'route') return { error: matchError(match), route: null, match }
    const { gate } = match.route.plan
    const refusal = gate === null ? null : gate(record.clientAddress, false)
    if (refusal !== null) return { error: refusal, route: match.route, match }
    const decision = grant(match, headers.authorization)
    const isTooLarge = headers.contentLength !== null && headers.contentLength > match.route.bodyLimit
    return isTooLarge && decision.error === null ? { error: BODY_TOO_LARGE, route: match.route, match } : decision
  }
}

function matchError(match: Exclude<Match<RouteConfig>, { kind: 'route' }>): ApiError {
  if (match.kind === 'none' || match.kind === 'guarded') return NO_ROUTE
  if (match.kind === 'ambiguous') return new ApiError('bad_path', `${match.reason}. Send the path in its plain form.`)
  return new ApiError('method_not_allowed', `This route accepts ${match.allow}.`, { headers: { allow: match.allow } })
}

/** True when the principal has an accepted value for every claim that the route names. */
function hasClaims(principal: Principal, required: RouteConfig['require']): boolean {
  for (const name in required) {
    const accepted = required[name] ?? []
    const value = Object.hasOwn(principal.claims, name) ? principal.claims[name] : undefined
    const values = Array.isArray(value) ? value : [value]
    if (!values.some((item) => item !== undefined && accepted.includes(String(item)))) return false
  }
  return true
}
