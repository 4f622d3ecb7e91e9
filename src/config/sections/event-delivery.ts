/** The delivery of events to an upstream: `upstream`, `path` and `retry` of `apps[].push` and
 *  `apps[].pay`. */
import { type Static, Type } from '../../schema.ts'
import { integer, lifetime, section, size, text } from '../terms.ts'
import { bytes, milliseconds } from '../units.ts'

/** Keys of a mapping with events. */
export const eventDelivery = {
  upstream: text('Upstream that receives the events.'),
  path: text('Path there.'),
  retry: section('Events that the upstream did not take.', {
    maxAge: lifetime('An event is dead when it is older.', '24h', '1m'),
    backlog: integer('Events that may wait; WeChat gets 503 beyond it.', 1, 10_000_000, 100_000),
    backlogSize: size('Size of the events that may wait.', '256mb', { min: '1mb' })
  })
}

const written = Type.Object(eventDelivery)
type WrittenDelivery = Static<typeof written>

export function resolveEventDelivery({ upstream, path, retry }: WrittenDelivery) {
  const { maxAge, backlog, backlogSize } = retry
  return { upstream, path, retry: { maxAge: milliseconds(maxAge), backlog, backlogBytes: bytes(backlogSize) } }
}
