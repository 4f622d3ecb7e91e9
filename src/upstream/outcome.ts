/** Decides whether a try speaks for or against its target. */
import { ApiError } from '../errors.ts'
import { codeOf, isFaultOfTarget, isStale, kindOf } from './failures.ts'

/** The target, or a proxy in front of it, cannot serve. A 500 is a fault of one request. */
export function isFailureStatus(status: number): boolean {
  return status >= 502 && status <= 504
}

/** False for a fault of the client or of the gateway, and for a connection that the target closed
 *  while it was idle.
 *  @param wasSent True when a connection had taken the request. */
export function isFailureOfTarget(error: unknown, wasSent: boolean): boolean {
  if (error instanceof ApiError) return error.code === 'upstream_timeout' || error.code === 'upstream_invalid'
  if (codeOf(error) === '' || !isFaultOfTarget(error)) return false
  return !(kindOf(error, wasSent) === 'reset' && isStale(error))
}

/** RFC 9110, section 9.2.2. */
export function isIdempotent(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PUT' || method === 'DELETE'
}
