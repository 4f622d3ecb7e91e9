/** The delivery of events to an upstream: `upstream`, `path` and `retry` of `apps[].push` and
 *  `apps[].pay`. */
import { type Static, Type } from '../../schema.ts'
import { pathFault } from '../path-fault.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import type { Draft } from '../section.ts'
import { integer, lifetime, section, size, text } from '../terms.ts'
import { bytes, milliseconds } from '../units.ts'
import { checkUpstreamName, type UpstreamsDraft } from './upstreams.ts'

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

/** @param place Place of the mapping that holds the keys. */
export function checkEventDelivery(
  { upstream, path }: Draft<WrittenDelivery>,
  place: Path,
  draft: UpstreamsDraft,
  report: Report
): void {
  if (upstream !== undefined) checkUpstreamName(upstream, [...place, 'upstream'], draft, report)
  const fault = path === undefined ? null : pathFault(path)
  if (fault !== null) report.error([...place, 'path'], fault.message, fault.hint)
}

export function resolveEventDelivery({ upstream, path, retry }: WrittenDelivery) {
  const { maxAge, backlog, backlogSize } = retry
  return { upstream, path, retry: { maxAge: milliseconds(maxAge), backlog, backlogBytes: bytes(backlogSize) } }
}
