/** `upstreams.*.healthCheck`: requests that test the targets. */
import { type Static, Type } from '../../schema.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries } from '../section.ts'
import { duration, integer, mapping, matching } from '../terms.ts'
import { milliseconds } from '../units.ts'

const STATUS = '[1-5][0-9]{2}'

export const healthCheck = mapping('Requests that test each target. Without it, no target is tested.', {
  path: matching('Path of the test, sent by GET.', '^/[!-"$-~]{0,2047}$', 'a path that starts with "/"', '/healthz'),
  host: Type.Optional(
    matching(
      'Host header of the test, instead of the one that requests have.',
      '^[A-Za-z0-9._:[\\]-]{1,259}$',
      'a host name, with a port where one is needed'
    )
  ),
  status: Type.Array(
    Type.Union([Type.Integer({ minimum: 100, maximum: 599 }), Type.String({ pattern: `^${STATUS}(-${STATUS})?$` })], {
      'x-form': 'a status such as 200, or a range such as 200-399'
    }),
    {
      description: 'Statuses of a good answer: numbers and ranges.',
      minItems: 1,
      maxItems: 32,
      default: ['200-399']
    }
  ),
  interval: duration('Time between two tests.', '5s', { min: '100ms', max: '1h' }),
  timeout: duration('Deadline for an answer.', '1s', { min: '10ms', max: '1h' }),
  healthyAfter: integer('Good answers in a row that restore a target.', 1, 100, 2),
  unhealthyAfter: integer('Bad answers in a row that remove a target.', 1, 100, 3)
})

type WrittenHealthCheck = Static<typeof healthCheck>
export type HealthCheckConfig = DeepReadonly<ReturnType<typeof resolveHealthCheck>>

export function checkHealthCheck(check: Draft<WrittenHealthCheck>, path: Path, report: Report): void {
  for (const [index, status] of entries(check.status)) {
    const { from, to } = rangeOf(status)
    if (from > to) report.error([...path, 'status', index], 'must start with its lower status')
  }
  const { interval, timeout } = check
  if (interval === undefined || timeout === undefined || milliseconds(timeout) <= milliseconds(interval)) return
  report.warn([...path, 'timeout'], 'is longer than interval: a target that does not answer is tested less often')
}

/** @param requests Host and headers of the upstream's requests: a test is sent as they are. */
export function resolveHealthCheck(
  written: WrittenHealthCheck,
  requests: { readonly host: string; readonly headers: Readonly<Record<string, string>> }
) {
  const { host, headers } = requests
  return {
    path: written.path,
    /** Null: the target's own. */
    host: written.host ?? (host === 'target' || host === 'client' ? null : host),
    headers,
    /** Ranges with both ends. */
    statuses: written.status.map(rangeOf),
    interval: milliseconds(written.interval),
    timeout: milliseconds(written.timeout),
    healthyAfter: written.healthyAfter,
    unhealthyAfter: written.unhealthyAfter
  }
}

function rangeOf(status: number | string): { readonly from: number; readonly to: number } {
  const [from = '', to = from] = String(status).split('-')
  return { from: Number(from), to: Number(to) }
}
