/** `methodOverride`: a POST with X-HTTP-Method-Override counts as the method that it names. */
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { AdmittedRequest } from '../http/request.ts'
import type { Match, RouteTable } from './route-table.ts'

/** The request with the method that counts; an error for a value that names no such method. */
export type OverrideMethod = (request: AdmittedRequest) => AdmittedRequest | ApiError

const NAMES = new Set(['PATCH', 'PUT', 'DELETE'])
const BAD_VALUE = new ApiError('bad_header', 'X-HTTP-Method-Override must be PATCH, PUT or DELETE, and be sent once.')

/** It applies where the route of POST or the route of the named method has the option. Elsewhere
 *  the header is dropped: a backend that obeys it would serve a method that was not checked. Null
 *  when no route has the option. */
export function createMethodOverride(
  routes: readonly RouteConfig[],
  table: RouteTable<RouteConfig>
): OverrideMethod | null {
  if (!routes.some(({ methodOverride }) => methodOverride)) return null
  return (request) => {
    const { target, headers } = request
    const name = headers.methodOverride?.trim().toUpperCase()
    if (name === undefined || request.method !== 'POST') return request
    const isAsked = applies(table.match('POST', target))
    if (!NAMES.has(name)) return isAsked ? BAD_VALUE : request
    return isAsked || applies(table.match(name, target)) ? { ...request, method: name } : request
  }
}

function applies(match: Match): boolean {
  return match.kind === 'route' && match.route.methodOverride
}
