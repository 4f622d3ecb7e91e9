/** Refuses requests of a route before their token is looked at: `ip` and `maintenance`. */
import type { RouteConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { createAddressSet } from '../http/network.ts'

/** @param address The client's, canonical.
 *  @param isPreflight A preflight passes during maintenance, so that the page can read the 503 of
 *    its request. */
export type Gate = (address: string, isPreflight: boolean) => ApiError | null

const WRONG_ADDRESS = new ApiError('forbidden', 'This route does not accept requests from this network.')

/** Null: the route accepts every request. */
export function createGate({ ip, maintenance }: RouteConfig): Gate | null {
  if (ip === null && maintenance === null) return null
  const isDenied = createAddressSet(ip?.deny ?? [])
  const isAllowed = createAddressSet(ip?.allow ?? [])
  const isLimited = ip !== null && ip.allow.length > 0
  const isExempt = createAddressSet(maintenance?.allow ?? [])
  const closed =
    maintenance &&
    new ApiError(
      'maintenance',
      'This part of the service is closed for maintenance. Wait as long as Retry-After says.',
      {
        retryAfter: maintenance.retryAfter / 1000
      }
    )
  return (address, isPreflight) => {
    if (isDenied(address) || (isLimited && !isAllowed(address))) return WRONG_ADDRESS
    return closed === null || isPreflight || isExempt(address) ? null : closed
  }
}
