/** `upstreams`: named groups of targets. */

import { isLinkLocal } from '../../http/addresses.ts'
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
import { milliseconds } from '../units.ts'

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
      url: text('Origin such as http://10.0.0.5:3000: scheme, host, port, and nothing else.'),
      weight: integer('Share of the requests, compared with the other targets.', 1, 1000, 1)
    }),
    { description: 'The servers.', minItems: 1, maxItems: 1024 }
  ),
  balance: oneOf(
    'Choice of the target; `hash` sends a user to the same one.',
    ['roundRobin', 'leastRequests', 'hash'],
    'roundRobin'
  ),
  healthCheck: Type.Optional(
    mapping('Requests that test each target.', {
      path: text('Path of the test.', '/healthz'),
      interval: duration('Time between two tests.', '5s', { min: '100ms', max: '1h' }),
      timeout: duration('Deadline for an answer.', '1s', { min: '10ms', max: '1h' }),
      healthyAfter: integer('Good answers in a row that restore a target.', 1, 100, 2),
      unhealthyAfter: integer('Bad answers in a row that remove a target.', 1, 100, 3)
    })
  ),
  connections: section('Requests and WebSockets under way, for each target.', {
    max: integer('Largest number at a time. Further requests wait.', 1, 1_000_000, 1024),
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
    budget: Type.Optional(percentage('Largest share of further tries in all requests.'))
  }),
  circuitBreaker: Type.Optional(
    mapping('A pause for a failing target.', {
      errorRate: percentage('Share of failed requests that opens the breaker.', '50%'),
      minRequests: integer('Requests in a window before the share counts.', 1, 1_000_000, 20),
      window: duration('Time over which requests are counted.', '10s', { min: '1s', max: '1h' }),
      openFor: duration('Time until one trial request is sent.', '10s', { min: '100ms', max: '1h' })
    })
  ),
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
  const origins = new Map<string, Path>()
  for (const [index, { url }] of entries(targets)) {
    if (url === undefined) continue
    const place: Path = [...path, 'targets', index, 'url']
    const fault = targetFault(url)
    if (fault !== null) {
      report.error(place, fault)
      continue
    }
    const { origin } = new URL(url)
    const first = origins.get(origin)
    if (first === undefined) origins.set(origin, place)
    else report.warn(place, `is the same target as on line ${report.line(first)}`, 'use weight')
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
  const isPlain = entries(targets).every(([, { url }]) => url?.startsWith('http:') === true)
  if (isPlain && (tls.ca ?? tls.cert ?? tls.serverName) !== undefined) {
    report.warn(path, 'has no effect: every target is http')
  }
}

/** Null for an origin that the gateway may connect to. */
function targetFault(url: string): string | null {
  if (!/^https?:\/\/([^/?#\\\s@]+)(\/?)$/.test(url)) {
    if (!/^https?:\/\//.test(url)) return 'must start with http:// or https://'
    if (/^https?:\/\/[^/]*@/.test(url)) return 'must not hold credentials'
    return 'must be an origin such as http://10.0.0.5:3000: no path, query, fragment, space or backslash'
  }
  if (!URL.canParse(url)) return 'must be a URL with a valid host and a port from 1 to 65535'
  const { hostname, port } = new URL(url)
  if (port === '0') return 'must have a port from 1 to 65535'
  if (isLinkLocal(hostname)) return 'must not be a link-local address: clouds keep the credentials of the machine there'
  return null
}

export function resolveUpstream(name: string, written: WrittenUpstream) {
  const { targets, balance, connections, timeouts, retries, tls } = written
  return {
    name,
    /** `url` has no path, query or credentials: an origin such as http://10.0.0.5:3000. */
    targets: targets.map(({ url, weight }) => ({ url: new URL(url).origin, weight })),
    balance,
    connections: {
      max: connections.max,
      queue: { max: connections.queue.max, timeout: milliseconds(connections.queue.timeout) }
    },
    timeouts: {
      connect: milliseconds(timeouts.connect),
      response: milliseconds(timeouts.response),
      idle: milliseconds(timeouts.idle)
    },
    retries: { attempts: retries.attempts, on: retries.on },
    tls: {
      ca: tls.ca ?? null,
      cert: tls.cert ?? null,
      key: tls.key ?? null,
      serverName: tls.serverName ?? null,
      insecureSkipVerify: tls.insecureSkipVerify
    }
  }
}
