/** `server`: the public edge. */
import { coveredShare, trustFault } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { checkListenerTls, listenerTls, resolveListenerTls } from '../listener-tls.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext } from '../section.ts'
import { duration, flag, host, integer, lifetime, mapping, oneOf, port, section, size } from '../terms.ts'
import { bytes, milliseconds } from '../units.ts'

const limits = section('Limits of a request and a connection.', {
  uri: size('Length of the request target.', '8kb', { min: '64b', max: '1mb' }),
  headers: size('All request headers together.', '16kb', { min: '1kb', max: '1mb' }),
  body: size('Request body; a route can set its own.', '10mb'),
  headersTimeout: duration('Time for the request headers to arrive.', '15s', { min: '10ms', max: '1h' }),
  bodyIdleTimeout: duration('Longest pause of a request body.', '60s', { min: '10ms', max: '1h' }),
  writeIdleTimeout: duration('Longest time that a client may leave its response unread.', '60s', {
    min: '10ms',
    max: '1h'
  }),
  keepAliveTimeout: duration('An idle client connection stays open this long.', '72s', { min: '10ms', max: '1h' }),
  connectionsPerPeer: integer('Connections of one peer address at a time.', 1, 1_000_000, 1024)
})

export const server = section('The public edge.', {
  host: host('0.0.0.0', 'WXGATE_HOST'),
  port: port(8080, 'WXGATE_PORT'),
  workers: Type.Unsafe<number | 'auto'>({
    anyOf: [Type.Integer({ minimum: 1, maximum: 256 }), Type.Literal('auto')],
    description:
      'Processes that share the port; `auto` is one per core. More than 1 needs a store that processes can share.',
    default: 1,
    'x-form': 'a whole number from 1 to 256, or auto'
  }),
  trustedProxies: Type.Array(Type.String(), {
    description:
      'Addresses and CIDR ranges of proxies whose `X-Forwarded-*` headers are trusted. A range of all addresses is refused.',
    default: [],
    maxItems: 1024
  }),
  proxyProtocol: Type.Array(Type.String(), {
    description:
      'Addresses and CIDR ranges of load balancers that begin each connection with a PROXY header, version 1 or 2. They must, and no other peer may. The address in the header counts as that of the connection. A range of all addresses is refused.',
    default: [],
    maxItems: 1024
  }),
  tls: listenerTls('TLS on the edge.'),
  hsts: Type.Optional(
    mapping('The header `Strict-Transport-Security` on answers over https.', {
      maxAge: lifetime('Browsers use https only for this long.', '180d', '0s'),
      includeSubDomains: flag('Also for all names below the host.', false),
      preload: flag('The operator asks browsers to ship the host in their list.', false)
    })
  ),
  redirectHttp: Type.Optional(
    mapping('A port for plain HTTP that redirects GET and HEAD to https. Needs `tls`. Health paths are answered.', {
      port: integer('Port to listen on, at `host`; 0 takes any free one.', 0, 65_535),
      httpsPort: integer('Port of the addresses that clients are sent to.', 1, 65_535, 443)
    })
  ),
  fastLane: Type.Boolean({
    description:
      'Ordinary requests of the proxy skip the general HTTP server, which costs half the CPU. `false` serves every request by the general one.',
    default: true
  }),
  serverTiming: flag(
    'Answers of backends get the header `Server-Timing` with the time in the gateway and in the backend. Everybody can read it.',
    false
  ),
  drain: section('The time between a signal to stop and the end.', {
    delay: duration(
      'Requests are still served while `/readyz` already answers 503, so that load balancers can remove the instance.',
      '5s'
    ),
    timeout: duration('Time for running requests to finish.', '30s')
  }),
  limits,
  loginLimit: section('Limit of the logins that go to WeChat.', {
    max: integer('Logins in one window.', 1, 1_000_000_000, 60),
    window: duration('Length of the window.', '1m', { min: '1s' }),
    by: oneOf('Counted per client address, or per app.', ['ip', 'app'], 'ip')
  })
})

export type ServerDraft = Draft<{ server: Static<typeof server> }>
export type LimitsConfig = DeepReadonly<ReturnType<typeof resolveServer>>['limits']

export function checkServer(draft: ServerDraft, context: RuleContext): void {
  for (const key of ['trustedProxies', 'proxyProtocol'] as const) checkProxies(draft, key, context.report)
  checkHttps(draft, context.report)
  checkListenerTls(draft.server?.tls, ['server', 'tls'], context)
}

/** Shares of all addresses that are certainly and probably a mistake; a /4 of IPv4 is 1/16. */
const REFUSED_SHARE = 1 / 2
const DOUBTFUL_SHARE = 1 / 16

function checkProxies({ server }: ServerDraft, key: 'trustedProxies' | 'proxyProtocol', report: Report): void {
  const path: Path = ['server', key]
  const valid: string[] = []
  for (const [index, range] of entries(server?.[key])) {
    const fault = trustFault(range)
    if (fault === null) valid.push(range)
    else report.error([...path, index], fault)
  }
  for (const [family, share] of Object.entries(coveredShare(valid))) {
    if (share < DOUBTFUL_SHARE) continue
    const message = `together the ranges trust ${Math.floor(share * 100)}% of all ${family === 'ipv4' ? 'IPv4' : 'IPv6'} addresses`
    if (share < REFUSED_SHARE) report.warn(path, message, 'name the addresses of your proxies only')
    else report.error(path, `${message}, so any client could choose the client address`)
  }
}

/** The list of browsers takes hosts with at least this (https://hstspreload.org). */
const PRELOAD_MIN_MS = 365 * 86_400_000

function checkHttps({ server }: ServerDraft, report: Report): void {
  const { hsts, redirectHttp, tls, port } = server ?? {}
  const { maxAge, includeSubDomains, preload } = hsts ?? {}
  if (
    preload === true &&
    (includeSubDomains !== true || (maxAge !== undefined && milliseconds(maxAge) < PRELOAD_MIN_MS))
  ) {
    report.error(['server', 'hsts', 'preload'], 'needs includeSubDomains: true and a maxAge of at least 365d')
  }
  if (redirectHttp === undefined) return
  if (tls === undefined) report.error(['server', 'redirectHttp'], 'needs server.tls: there is no https to redirect to')
  if (redirectHttp.port !== undefined && redirectHttp.port !== 0 && redirectHttp.port === port) {
    report.error(['server', 'redirectHttp', 'port'], 'is the port of the public edge (server.port)')
  }
}

/** Value of the header (RFC 6797, section 6.1). */
function hstsValue({ maxAge, includeSubDomains, preload }: NonNullable<Static<typeof server>['hsts']>): string {
  const seconds = Math.floor(milliseconds(maxAge) / 1000)
  return `max-age=${seconds}${includeSubDomains ? '; includeSubDomains' : ''}${preload ? '; preload' : ''}`
}

export function resolveServer(written: Static<typeof server>, directory: string) {
  const { tls, hsts, redirectHttp, drain, limits, loginLimit } = written
  return {
    host: written.host,
    port: written.port,
    workers: written.workers,
    trustedProxies: written.trustedProxies,
    proxyProtocol: written.proxyProtocol,
    fastLane: written.fastLane,
    serverTiming: written.serverTiming,
    tls: resolveListenerTls(tls, directory),
    hsts: hsts === undefined ? null : hstsValue(hsts),
    redirectHttp: redirectHttp ?? null,
    drain: { delay: milliseconds(drain.delay), timeout: milliseconds(drain.timeout) },
    limits: {
      uri: bytes(limits.uri),
      headers: bytes(limits.headers),
      body: bytes(limits.body),
      headersTimeout: milliseconds(limits.headersTimeout),
      bodyIdleTimeout: milliseconds(limits.bodyIdleTimeout),
      /** A response that the client does not read ends after this time without progress. */
      writeIdleTimeout: milliseconds(limits.writeIdleTimeout),
      /** An idle kept-alive client connection stays open this long. */
      keepAliveTimeout: milliseconds(limits.keepAliveTimeout),
      /** Connections of one peer address at a time. */
      connectionsPerPeer: limits.connectionsPerPeer
    },
    loginLimit: { ...loginLimit, window: milliseconds(loginLimit.window) }
  }
}
