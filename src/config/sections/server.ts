/** `server` and `service`: the two listeners. */
import { Type } from 'typebox'
import { duration, fileReference, integer, mapping, matching, oneOf, secret, section, size, someOf } from './terms.ts'

const hostPattern = '^[A-Za-z0-9.:_%-]{1,253}$'
const hostForm = 'a host name or an IP address'

export const server = section('The public edge.', {
  host: matching('Address to listen on.', hostPattern, hostForm, '0.0.0.0'),
  port: integer('Port to listen on; 0 takes any free one.', 0, 65_535, 8080),
  workers: Type.Unsafe<number | 'auto'>({
    anyOf: [Type.Integer({ minimum: 1, maximum: 256 }), Type.Literal('auto')],
    description:
      'Processes that share the port; `auto` is one per core. More than 1 needs a store that processes can share.',
    default: 1,
    'x-form': 'a whole number from 1 to 256, or auto'
  }),
  trustedProxies: Type.Array(Type.String(), {
    description:
      'Addresses and CIDR ranges of proxies whose `X-Forwarded-*` headers are believed. Everybody is never one.',
    default: [],
    maxItems: 1024
  }),
  tls: Type.Optional(
    mapping('Speak TLS on the edge. Both files are read again when they change.', {
      cert: fileReference('Certificate chain in PEM.'),
      key: fileReference('Private key in PEM.')
    })
  ),
  drain: section('What happens between a signal to stop and the end.', {
    delay: duration(
      'Requests are still served while `/readyz` already says 503, so that load balancers can look away.',
      '5s'
    ),
    timeout: duration('Requests in flight get this long to finish.', '30s')
  }),
  limits: section('What a request and a connection may take up.', {
    uri: size('Length of the request target.', '8kb', { min: '64b', max: '1mb' }),
    headers: size('All request headers together.', '16kb', { min: '1kb', max: '1mb' }),
    body: size('Request body; a route can set its own.', '10mb'),
    headersTimeout: duration('Time for the request headers to arrive.', '15s', { min: '10ms', max: '1h' }),
    bodyIdleTimeout: duration('A request body may pause this long.', '60s', { min: '10ms', max: '1h' }),
    writeIdleTimeout: duration('A client may leave its response unread this long.', '60s', { min: '10ms', max: '1h' }),
    keepAliveTimeout: duration('An idle connection is kept open this long.', '72s', { min: '10ms', max: '1h' }),
    connectionsPerPeer: integer('Connections of one peer address at a time.', 1, 1_000_000, 1024)
  }),
  loginLimit: section('Logins let through to WeChat.', {
    max: integer('Logins in one window.', 1, 1_000_000_000, 60),
    window: duration('Length of the window.', '1m', { min: '1s' }),
    by: oneOf('Counted per client address, or per app.', ['ip', 'app'], 'ip')
  })
})

export const service = section(
  'The private listener for backends and operators. It must not be reachable from the internet.',
  {
    host: matching('Address to listen on.', hostPattern, hostForm, '127.0.0.1'),
    port: integer('Port to listen on; 0 takes any free one.', 0, 65_535, 9090),
    tokens: Type.Array(
      mapping('A caller.', {
        name: matching(
          'Who calls, for the audit log.',
          '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
          'a name of letters, digits, "-", "_" and "."'
        ),
        token: secret('What the caller sends as `Authorization: Bearer`; at least 16 characters.'),
        scopes: someOf('What the caller may do.', ['session', 'wxapi', 'pay', 'admin'])
      }),
      { description: 'Who may call. With none, `/v1` and `/wxapi` answer 401.', default: [], maxItems: 1024 }
    )
  }
)
