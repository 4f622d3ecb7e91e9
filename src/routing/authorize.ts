/** Where a request goes and as whom, or why it goes nowhere. */

import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { BODY_TOO_LARGE } from '../http/body/request-body.ts'
import type { RequestHeaders } from '../http/headers/request-headers.ts'
import type { CanonicalPath } from '../http/path/canonical-path.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import { createRouteTable, type Match } from './route-table.ts'

export interface Decision {
  /** Null when no route was found. */
  readonly route: RouteConfig | null
  readonly principal: Principal | null
  readonly error: ApiError | null
  /** For the access log. */
  readonly reason: string
  /** How the route was found, or why none was. */
  readonly match: Match
}

export type Decide = (method: string, target: CanonicalPath, headers: RequestHeaders) => Decision

export const NO_ROUTE = new ApiError('no_route', 'No route of this gateway matches the path.')
const TOKEN_MISSING = new ApiError(
  'token_missing',
  'This route needs "Authorization: Bearer <access token>". Log in with wx.login first.'
)
const APP_NOT_ALLOWED = new ApiError(
  'app_not_allowed',
  'This route does not accept users of the mini-program that the token was issued for.'
)
const MISSING_CLAIM = new ApiError('forbidden', 'The user does not have a claim that this route requires.')

export function createDecide(routes: readonly RouteConfig[], authenticator: Authenticator): Decide {
  const table = createRouteTable(routes)

  function admit(match: Match & { kind: 'route' }, headers: RequestHeaders): Decision {
    const { route } = match
    if (route.auth === 'public') return { route, principal: null, error: null, reason: 'public', match }
    const sender = authenticator.authenticate(headers.authorization)
    if (sender === null) {
      return route.auth === 'optional'
        ? { route, principal: null, error: null, reason: 'anonymous', match }
        : refuse(TOKEN_MISSING, match)
    }
    if (sender instanceof ApiError) return refuse(sender, match)
    if (route.apps !== null && !route.apps.includes(sender.appId)) return refuse(APP_NOT_ALLOWED, match)
    if (!hasClaims(sender, route.require)) return refuse(MISSING_CLAIM, match)
    return { route, principal: sender, error: null, reason: 'token', match }
  }

  return (method, target, headers) => {
    const match = table.match(method, target)
    if (match.kind !== 'route') return refuse(matchError(match), match)
    const decision = admit(match, headers)
    const isTooLarge = headers.contentLength !== null && headers.contentLength > match.route.bodyLimit
    return isTooLarge && decision.error === null ? refuse(BODY_TOO_LARGE, match) : decision
  }
}

function refuse(error: ApiError, match: Match): Decision {
  const route = match.kind === 'route' ? match.route : null
  return { route, principal: null, error, reason: error.code, match }
}

function matchError(match: Exclude<Match, { kind: 'route' }>): ApiError {
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
