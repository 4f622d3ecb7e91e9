/** `routes[].ip`, `maintenance` and `concurrency`: requests that a route refuses whatever their
 *  token. */
import { rangeFault } from '../../http/addresses.ts'
import { type Static, type TObject, Type } from '../../schema.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries } from '../section.ts'
import { duration, integer, mapping } from '../terms.ts'
import { milliseconds } from '../units.ts'

function ranges(description: string) {
  return Type.Array(Type.String(), { description, default: [], maxItems: 1024 })
}

const ip = Type.Optional(
  mapping('Client addresses, with `server.trustedProxies` taken into account. Others get 403.', {
    allow: ranges('Addresses and CIDR ranges that may use the route. Empty: all that `deny` does not list.'),
    deny: ranges('Addresses and CIDR ranges that may not; they take precedence over `allow`.')
  })
)

const maintenance = Type.Optional(
  mapping('The route is closed: 503 `maintenance`.', {
    retryAfter: duration('Value of `Retry-After`.', '10m', { min: '1s', max: '30d' }),
    allow: ranges('Client addresses and CIDR ranges that may use the route nevertheless.')
  })
)

const concurrency = Type.Optional(
  integer('Requests and WebSockets under way on this route in one process; further ones get 503.', 1, 1_000_000)
)

export const gateShape = { concurrency, ip, maintenance }

type WrittenGates = Static<TObject<typeof gateShape>>

/** @param path Place of the route. */
export function checkGates({ ip, maintenance }: Draft<WrittenGates>, path: Path, report: Report): void {
  checkRanges(ip?.allow, [...path, 'ip', 'allow'], report)
  checkRanges(ip?.deny, [...path, 'ip', 'deny'], report)
  checkRanges(maintenance?.allow, [...path, 'maintenance', 'allow'], report)
  if (ip !== undefined && ip.allow?.length === 0 && ip.deny?.length === 0) {
    report.warn([...path, 'ip'], 'refuses no address', 'write ip: { allow: [10.0.0.0/8] }')
  }
}

function checkRanges(list: readonly (string | undefined)[] | undefined, path: Path, report: Report): void {
  for (const [index, range] of entries(list)) {
    const fault = rangeFault(range)
    if (fault !== null) report.error([...path, index], fault)
  }
}

export function resolveGates({ ip, maintenance, concurrency }: WrittenGates) {
  return {
    ip: ip ?? null,
    maintenance:
      maintenance === undefined ? null : { ...maintenance, retryAfter: milliseconds(maintenance.retryAfter) },
    /** Null: no limit. */
    concurrency: concurrency ?? null
  }
}
