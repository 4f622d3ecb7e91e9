/** `apps[].prefetch`: data pre-fetch (数据预拉取), for which WeChat's servers call the gateway. */
import { type Static, Type } from '../../schema.ts'
import { duration, integer, mapping, section, text } from '../terms.ts'
import { milliseconds } from '../units.ts'

export const prefetch = mapping('Data pre-fetch (数据预拉取): an upstream answers with the data of the user.', {
  upstream: text('Upstream that has the data.'),
  path: text('Path there. It receives a POST with JSON and identity headers.'),
  timeout: duration('Deadline for its answer.', '5s', { min: '10ms', max: '60s' }),
  rateLimit: section('Calls of one address. WeChat calls from few addresses.', {
    max: integer('Calls let through in one window.', 1, 1_000_000_000, 6000),
    window: duration('Length of the window.', '1m', { min: '1s' })
  })
})

const written = Type.Object(prefetch.properties)
type WrittenPrefetch = Static<typeof written>

export function resolvePrefetch({ upstream, path, timeout, rateLimit }: WrittenPrefetch) {
  return {
    upstream,
    path,
    timeout: milliseconds(timeout),
    rateLimit: { max: rateLimit.max, window: milliseconds(rateLimit.window) }
  }
}
