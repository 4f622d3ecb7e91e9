/** When a request may be sent once more. */
import type { UpstreamConfig } from '../config/config.ts'

export type RetryCause = UpstreamConfig['retries']['on'][number]

/** A request that may have been acted on is repeated only where that changes nothing, and a body that was sent is gone.
 *  @param retries How many there were already. */
export function mayRetry(
  { attempts, on }: UpstreamConfig['retries'],
  cause: RetryCause,
  retries: number,
  method: string,
  hasBody: boolean
): boolean {
  if (retries >= attempts || !on.includes(cause)) return false
  return cause === 'connect' || (!hasBody && isIdempotent(method))
}

/** RFC 9110, section 9.2.2. */
function isIdempotent(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'PUT' || method === 'DELETE'
}
