/** Resolves route and principal of a request, or the error that refuses it. */
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { BODY_TOO_LARGE } from '../http/body/request-body.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Authenticator, Sender } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import { type Cors, type PreflightQuestion, preflightQuestion } from './cors.ts'
import type { Gate } from './gate.ts'
import { createMethodOverride } from './method-override.ts'
import { createRouteTable, type Match } from './route-table.ts'

/** A route with its checks, prepared. */
export interface GuardedRoute extends RouteConfig {
  readonly plan: {
    /** Null: accepts every request. */
    readonly gate: Gate | null
    /** Null: pages of other origins may not call it. */
    readonly cors: Cors | null
  }
}

export type Decision<R extends RouteConfig = RouteConfig> = Granted<R> | Preflight<R> | Refused<R>

export interface Granted<R> {
  readonly error: null
  readonly route: R
  readonly principal: Principal | null
  readonly reason: 'token' | 'public' | 'anonymous'
  readonly match: Match<R>
  /** With the method that counts. */
  readonly request: AdmittedRequest
}

/** The gateway itself answers. */
export interface Preflight<R> {
  readonly error: null
  readonly route: R
  readonly principal: null
  readonly reason: 'preflight'
  readonly match: Match<R>
  readonly request: AdmittedRequest
  /** Of the answer, name and value in turns. */
  readonly headers: string[]
}

export interface Refused<R> {
  readonly error: ApiError
  /** Null without a matching route. */
  readonly route: R | null
  readonly match: Match<R>
  readonly request: AdmittedRequest
}

type RouteMatch<R> = Match<R> & { kind: 'route' }

/** @param known The sender where he was recalled; undefined: the token is verified when a route
 *  asks for it. */
export type Authorize<R extends RouteConfig> = (request: AdmittedRequest, known?: Sender) => Decision<R>

const NO_ROUTE = new ApiError('no_route', 'No route of this gateway matches the path.')
const TOKEN_MISSING = new ApiError(
  'token_missing',
  'This route needs "Authorization: Bearer <access token>". Log in with wx.login first.'
)
const APP_NOT_ALLOWED = new ApiError(
  'app_not_allowed',
  'This route does not accept users of the mini-program that the token was issued for.'
)
export const WRONG_ORIGIN = new ApiError('forbidden', 'This route does not accept requests from pages of this origin.')
const MISSING_CLAIM = new ApiError('forbidden', 'The user does not have a claim that this route requires.')

export function createAuthorize<R extends GuardedRoute>(
  routes: readonly R[],
  authenticator: Pick<Authenticator, 'authenticate'>
): Authorize<R> {
  const table = createRouteTable(routes)
  const override = createMethodOverride(routes, table)
  const hasCors = routes.some(({ cors }) => cors !== null)

  /** Null when the route of the announced request has no `cors`. */
  function answerPreflight(request: AdmittedRequest, question: PreflightQuestion): Decision<R> | null {
    const match = table.match(question.method, request.target)
    if (match.kind !== 'route' || match.route.plan.cors === null) return null
    const { route } = match
    const { gate, cors } = match.route.plan
    const refusal = gate === null ? null : gate(request.record.clientAddress, true)
    if (refusal !== null) return { error: refusal, route, match, request }
    const headers = cors.preflight(question)
    if (headers === null) return { error: WRONG_ORIGIN, route, match, request }
    return { error: null, route, principal: null, reason: 'preflight', match, request, headers }
  }

  return (admitted, known) => {
    const question = hasCors ? preflightQuestion(admitted) : null
    const answer = question === null ? null : answerPreflight(admitted, question)
    if (answer !== null) return answer
    const overridden = override === null ? admitted : override(admitted)
    const request = overridden instanceof ApiError ? admitted : overridden
    const match = table.match(request.method, request.target)
    if (match.kind !== 'route') return { error: matchError(match), route: null, match, request }
    const { route } = match
    if (overridden instanceof ApiError) return { error: overridden, route, match, request }
    const { gate } = route.plan
    const refusal = gate === null ? null : gate(request.record.clientAddress, false)
    if (refusal !== null) return { error: refusal, route, match, request }
    const decision = grant(request, match, authenticator, known)
    const { contentLength } = request.headers
    const isTooLarge = contentLength !== null && contentLength > route.bodyLimit
    return isTooLarge && decision.error === null ? { error: BODY_TOO_LARGE, route, match, request } : decision
  }
}

function grant<R extends RouteConfig>(
  request: AdmittedRequest,
  match: RouteMatch<R>,
  authenticator: Pick<Authenticator, 'authenticate'>,
  known: Sender | undefined
): Granted<R> | Refused<R> {
  const { route } = match
  if (route.auth === 'public') return { error: null, route, principal: null, reason: 'public', match, request }
  const sender = known === undefined ? authenticator.authenticate(request.headers.authorization) : known
  if (sender === null) {
    if (route.auth === 'optional') return { error: null, route, principal: null, reason: 'anonymous', match, request }
    return { error: TOKEN_MISSING, route, match, request }
  }
  if (sender instanceof ApiError) return { error: sender, route, match, request }
  if (route.apps !== null && !route.apps.includes(sender.appId))
    return { error: APP_NOT_ALLOWED, route, match, request }
  if (!hasClaims(sender, route.require)) return { error: MISSING_CLAIM, route, match, request }
  return { error: null, route, principal: sender, reason: 'token', match, request }
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
