/** `upstreams`: named groups of targets. */
import { type Static, Type } from '../../schema.ts'
import { pathFault } from '../path-fault.ts'
import { pemFaults } from '../pem.ts'
import { didYouMean, type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext } from '../section.ts'
import {
  duration,
  flag,
  integer,
  mapping,
  matching,
  oneOf,
  percentage,
  privatePem,
  publicPem,
  section,
  someOf,
  text
} from '../terms.ts'
import { fraction, milliseconds } from '../units.ts'
import { checkHealthCheck, healthCheck, resolveHealthCheck } from './health-check.ts'
import { canonicalTarget, targetFault } from './target-url.ts'
import { checkUpstreamHeaders, requestShape } from './upstream-requests.ts'

const tls = section('For targets with https.', {
  ca: Type.Optional(publicPem('Trusted certificates in PEM, instead of the public ones.')),
  cert: Type.Optional(publicPem('Client certificate in PEM.')),
  key: Type.Optional(privatePem('Key of the client certificate in PEM.')),
  serverName: Type.Optional(
    matching(
      'Name that the certificate must have, instead of the host of the URL.',
      '^[A-Za-z0-9._-]{1,253}$',
      'a host name'
    )
  ),
  insecureSkipVerify: flag(
    'Accept any certificate. A machine between gateway and target can then read and change everything.',
    false
  )
})

const upstream = mapping('A group of equal targets.', {
  targets: Type.Array(
    mapping('One server.', {
      url: text('Origin such as http://10.0.0.5:3000 (scheme, host, port, and nothing else), or unix:/path/to.sock.'),
      weight: integer('Share of the requests, compared with the other targets.', 1, 1000, 1)
    }),
    { description: 'The servers.', minItems: 1, maxItems: 1024 }
  ),
  balance: oneOf(
    'Choice of the target; `hash` sends a user to the same one.',
    ['roundRobin', 'leastRequests', 'hash'],
    'roundRobin'
  ),
  healthCheck: Type.Optional(healthCheck),
  slowStart: duration('Time in which a target that comes back regains its share; 0s gives it at once.', '0s', {
    max: '1h'
  }),
  outliers: section('Targets that fail are left out for a while. A sole target is never left out.', {
    failures: integer(
      'Failures in a row that eject a target: 502, 503, 504, no connection, a reset, a timeout, an invalid response.',
      1,
      1000,
      5
    ),
    ejectFor: duration('Length of the first ejection. Each one that follows soon is longer, up to ten times.', '10s', {
      min: '100ms',
      max: '1h'
    }),
    maxEjected: percentage('When a larger share of the targets is ejected, all are used; 0% ejects none.', '50%')
  }),
  connections: section('Requests and WebSockets under way, for each target.', {
    max: integer('Largest number at a time. Further requests wait.', 1, 1_000_000, 1024),
    idle: duration('Time without a request after which a connection is closed.', '30s', { min: '100ms', max: '1h' }),
    maxAge: duration('Age after which a connection takes no further request. 0s sets no limit.', '10m'),
    queue: section('Waiting requests.', {
      max: integer(
        'Largest number that waits for one target. Further requests are refused with 503.',
        0,
        1_000_000,
        1000
      ),
      timeout: duration('Longest wait; then the request is refused with 503.', '1s', { min: '1ms', max: '1h' })
    })
  }),
  timeouts: section('Deadlines.', {
    connect: duration('Time to connect, TLS included.', '2s', { min: '1ms', max: '1h' }),
    response: duration('Time from the request to the head of the response.', '30s', { min: '1ms' }),
    idle: duration('Longest pause of a response body or a WebSocket.', '60s', { min: '1ms' })
  }),
  retries: section('Further tries of a failed request.', {
    attempts: integer('Further tries after the first.', 0, 10, 1),
    on: someOf('Failures that are tried again.', ['connect', 'reset', '502', '503', '504'], ['connect', 'reset']),
    budget: percentage(
      'Largest share of further tries in the requests under way; three a second are always allowed.',
      '20%'
    )
  }),
  circuitBreaker: Type.Optional(
    mapping('Refuses requests with 503 at once, instead of sending them to a target in trouble.', {
      maxInFlight: integer('Requests under way in the whole upstream; further ones are refused.', 1, 1_000_000, 1024),
      maxPending: integer('Requests that wait in the whole upstream; further ones are refused.', 0, 1_000_000, 1000),
      failureRate: percentage('Share of failures that opens the breaker of a target.', '50%'),
      minRequests: integer('Requests in a window before the share counts.', 1, 1_000_000, 20),
      window: duration('Time over which requests are counted.', '10s', { min: '1s', max: '1h' }),
      openFor: duration('Time until one trial request is sent.', '5s', { min: '100ms', max: '1h' })
    })
  ),
  ...requestShape,
  tls
})

export const upstreams = Type.Record(Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$' }), upstream, {
  description: 'Groups of targets, by name.',
  additionalProperties: false,
  'x-keys': 'not a valid name: letters, digits, "-", "_" and ".", at most 64'
})

type WrittenUpstream = Static<typeof upstream>
export type UpstreamsDraft = Draft<{ upstreams: Readonly<Record<string, WrittenUpstream>> }>
export type UpstreamConfig = DeepReadonly<ReturnType<typeof resolveUpstream>>
export type TlsClientConfig = UpstreamConfig['tls']

export function checkUpstreams(draft: UpstreamsDraft, { report }: RuleContext): void {
  for (const [name, upstream] of Object.entries(draft.upstreams ?? {})) {
    if (upstream === undefined) continue
    const path: Path = ['upstreams', name]
    checkTargets(upstream, path, report)
    if (upstream.healthCheck) checkHealthCheck(upstream.healthCheck, [...path, 'healthCheck'], report)
    checkOutliers(upstream, path, report)
    checkUpstreamHeaders(upstream.headers, [...path, 'headers'], report)
    checkTls(upstream, [...path, 'tls'], report)
  }
}

/** Reports the name of an upstream that does not exist. */
export function checkUpstreamName(name: string, path: Path, { upstreams }: UpstreamsDraft, report: Report): void {
  // A missing section is one problem, not one for each route.
  if (upstreams === undefined || Object.hasOwn(upstreams, name)) return
  report.error(path, `there is no upstream ${quote(name)}`, didYouMean(name, Object.keys(upstreams)))
}

/** Checks the `upstream` and the `path` of a mapping.
 *  @param place Place of the mapping. */
export function checkDestination(
  { upstream, path }: { readonly upstream?: string | undefined; readonly path?: string | undefined },
  place: Path,
  draft: UpstreamsDraft,
  report: Report
): void {
  if (upstream !== undefined) checkUpstreamName(upstream, [...place, 'upstream'], draft, report)
  const fault = path === undefined ? null : pathFault(path)
  if (fault !== null) report.error([...place, 'path'], fault.message, fault.hint)
}

function checkTargets({ targets }: Draft<WrittenUpstream>, path: Path, report: Report): void {
  const seen = new Map<string, Path>()
  for (const [index, { url }] of entries(targets)) {
    if (url === undefined) continue
    const place: Path = [...path, 'targets', index, 'url']
    const fault = targetFault(url)
    if (fault !== null) {
      report.error(place, fault)
      continue
    }
    const target = canonicalTarget(url)
    const first = seen.get(target)
    if (first === undefined) seen.set(target, place)
    else report.warn(place, `is the same target as on line ${report.line(first)}`, 'use weight')
  }
}

function checkOutliers({ targets, outliers, slowStart }: Draft<WrittenUpstream>, path: Path, report: Report): void {
  if (outliers?.maxEjected === '0%') {
    report.warn([...path, 'outliers', 'maxEjected'], 'ejects no target: the other outliers settings have no effect')
  }
  if (targets?.length === 1 && slowStart !== undefined && milliseconds(slowStart) > 0) {
    report.warn([...path, 'slowStart'], 'has no effect: there is one target')
  }
}

function checkTls({ targets, tls }: Draft<WrittenUpstream>, path: Path, report: Report): void {
  if (tls === undefined) return
  for (const [part, fault] of pemFaults(tls)) report.error([...path, part], fault)
  if ((tls.cert === undefined) !== (tls.key === undefined)) report.error(path, 'needs cert and key together')
  if (tls.insecureSkipVerify === true) {
    report.warn(
      [...path, 'insecureSkipVerify'],
      'CERTIFICATES ARE NOT VERIFIED: a machine between gateway and target can read and change everything, identity included',
      'name your own authority under tls.ca'
    )
  }
  const isPlain = entries(targets).every(([, { url }]) => url !== undefined && !url.startsWith('https:'))
  if (isPlain && (tls.ca ?? tls.cert ?? tls.serverName) !== undefined) {
    report.warn(path, 'has no effect: no target is https')
  }
}

export function resolveUpstream(name: string, written: WrittenUpstream) {
  const { targets, balance, connections, outliers, timeouts, retries, circuitBreaker: breaker, tls } = written
  return {
    name,
    /** `url` is an origin such as http://10.0.0.5:3000, or unix: and the path of a socket. */
    targets: targets.map(({ url, weight }) => ({ url: canonicalTarget(url), weight })),
    balance,
    healthCheck: written.healthCheck ? resolveHealthCheck(written.healthCheck, written) : null,
    slowStart: milliseconds(written.slowStart),
    outliers: {
      failures: outliers.failures,
      ejectFor: milliseconds(outliers.ejectFor),
      maxEjected: fraction(outliers.maxEjected)
    },
    connections: {
      max: connections.max,
      idle: milliseconds(connections.idle),
      /** 0: no limit. */
      maxAge: milliseconds(connections.maxAge),
      queue: { max: connections.queue.max, timeout: milliseconds(connections.queue.timeout) }
    },
    timeouts: {
      connect: milliseconds(timeouts.connect),
      response: milliseconds(timeouts.response),
      idle: milliseconds(timeouts.idle)
    },
    retries: { attempts: retries.attempts, budget: fraction(retries.budget), on: retries.on },
    circuitBreaker: breaker
      ? {
          maxInFlight: breaker.maxInFlight,
          maxPending: breaker.maxPending,
          failureRate: fraction(breaker.failureRate),
          minRequests: breaker.minRequests,
          window: milliseconds(breaker.window),
          openFor: milliseconds(breaker.openFor)
        }
      : null,
    host: written.host,
    headers: written.headers,
    tls: {
      ca: tls.ca ?? null,
      cert: tls.cert ?? null,
      key: tls.key ?? null,
      serverName: tls.serverName ?? null,
      insecureSkipVerify: tls.insecureSkipVerify
    }
  }
}
