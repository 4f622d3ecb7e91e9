/** Family H: headers that pose as somebody, as another request, or as the gateway itself. */
import { get, HIDDEN, NO_TOKEN, type Row, refused, SERVED, type Subject } from './case.ts'

const IDENTITIES = [
  'X-OpenId',
  'x-openid',
  'X_OpenId',
  'x_openid',
  'X.OpenId',
  'X-UnionId',
  'X_UnionId',
  'X-AppId',
  'X-User-Id',
  'X_User_Id',
  'X-Session-Id'
]
/** WeChat Cloud Run's; its backends believe them. */
const CLOUD_RUN = [
  'X-WX-OPENID',
  'X_WX_OPENID',
  'X-WX-UNIONID',
  'X-WX-APPID',
  'X-WX-FROM-OPENID',
  'X-WX-FROM-UNIONID',
  'X-WX-SOURCE',
  'X-WX-ENV',
  'X-WX-SERVICE',
  'X-WX-CLOUDBASE-ACCESS-TOKEN'
]
/** Names by which other gateways and frameworks pass identities on, or let requests through. */
const PASSES = [
  'X-Auth-Request-User: admin',
  'X-Forwarded-User: admin',
  'Remote-User: admin',
  'X-Authenticated-User: admin',
  'X-Forwarded-For: 127.0.0.1',
  'X-Real-IP: 127.0.0.1',
  'Forwarded: for=127.0.0.1;proto=https',
  'X-Forwarded-Host: localhost',
  'X-Custom-IP-Authorization: 127.0.0.1',
  'X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware',
  'Authorization_: Bearer x',
  'X-Authorization: Bearer x',
  'Proxy-Authorization: Bearer x',
  'Cookie: access_token=x; session=admin',
  'Referer: https://servicewechat.com/wx1234567890abcdef/devtools/page-frame.html',
  'Access-Control-Request-Method: GET'
]
const OVERRIDES = [
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Original-URI',
  'X-Forwarded-Uri',
  'X-Forwarded-Path',
  'X-Forwarded-Prefix',
  'X-Accel-Redirect'
]
const METHOD_OVERRIDES = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', 'X-Original-Method']
/** What only a proxy in front may say. */
const FROM_PROXIES = [
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Forwarded-Server',
  'X-Forwarded-Prefix',
  'X-Real-IP',
  'Forwarded',
  'True-Client-IP',
  'CF-Connecting-IP',
  'X-Client-IP',
  'X-Envoy-External-Address',
  'X-Amzn-Oidc-Identity'
]

export const bearer = ({ token }: Subject) => `Authorization: Bearer ${token}`

/** Each line on a request without a token. */
const barred = (lines: readonly string[]) => (subject: Subject) =>
  lines.map((line) => ({ bytes: get(subject, subject.route, line) }))

/** Each name with the canary as its value, beside a real token, where the upstream tells what it received. */
const echoed = (names: readonly string[]) => (subject: Subject) =>
  names.map((name) => ({
    bytes: get(subject, subject.route, bearer(subject), `${name}: ${subject.canary}`),
    needs: 'echo' as const
  }))

function row(
  id: string,
  rule: string,
  rest: Omit<Row, 'id' | 'rule' | 'family' | 'sources'>,
  ...sources: string[]
): Row {
  return { id, family: 'headers', rule, sources, ...rest }
}

export const HEADERS: readonly Row[] = [
  row(
    'H01',
    'an identity header is no credential',
    { expected: NO_TOKEN, attacks: barred([...IDENTITIES, ...CLOUD_RUN].map((name) => `${name}: oForgedForged1`)) },
    'CVE-2020-25017 (Envoy)'
  ),
  row(
    'H02',
    'an identity header of the client does not reach the upstream, in any spelling',
    {
      expected: HIDDEN,
      attacks: (subject) => [
        ...echoed(IDENTITIES)(subject),
        {
          bytes: get(
            subject,
            subject.route,
            `X-OpenId: ${subject.canary}`,
            bearer(subject),
            `x-openid: ${subject.canary}`
          ),
          needs: 'echo'
        }
      ]
    },
    'CVE-2025-64484 (oauth2-proxy)',
    'GHSA-5m6w-wvh7-57vm (Traefik)'
  ),
  row(
    'H05',
    'a client cannot have identity headers removed by naming them in Connection',
    {
      expected: SERVED,
      attacks: (subject) =>
        [
          'X-OpenId',
          'keep-alive, X-OpenId, X-User-Id',
          'x-appid, x-session-id, x-unionid',
          'authorization, cookie',
          'x-forwarded-for, x-forwarded-host',
          'content-length',
          'host',
          'transfer-encoding',
          '__proto__, constructor',
          'X-OpenId\r\nConnection: X-User-Id'
        ].map((tokens) => ({
          bytes: get(subject, subject.route, bearer(subject), `Connection: ${tokens}`),
          needs: 'token'
        }))
    },
    'CVE-2025-48865 (Fabio)',
    'CVE-2024-45410 (Traefik)'
  ),
  row(
    'H07',
    'names that JavaScript objects have of their own do no harm',
    { expected: HIDDEN, attacks: echoed(['__proto__', 'constructor', 'prototype', 'hasOwnProperty']) },
    'CVE-2026-21710 (Node.js)'
  ),
  row('H08', 'hop-by-hop headers are dealt with, not stumbled over', {
    expected: SERVED,
    attacks: (subject) =>
      [
        'Keep-Alive: timeout=5',
        'Upgrade: websocket',
        'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
        'Upgrade: TLS/1.0\r\nConnection: Upgrade',
        'Expect: 100-continue',
        'TE: gzip',
        'Trailer: X-OpenId',
        'Proxy-Connection: keep-alive'
      ].map((lines) => ({ bytes: get(subject, subject.route, bearer(subject), lines), needs: 'token' }))
  }),
  row('H11', 'an expectation that cannot be met is refused', {
    expected: refused([417, 400, 401, 403], []),
    attacks: barred(['Expect: 999', 'Expect: 100-continue, 999'])
  }),
  row('H12', 'hop-by-hop headers end at the gateway', {
    expected: HIDDEN,
    attacks: (subject) => [
      ...echoed(['TE', 'Trailer', 'Proxy-Connection', 'Proxy-Authorization', 'Proxy-Authenticate', 'Keep-Alive'])(
        subject
      ),
      {
        bytes: get(subject, subject.route, bearer(subject), 'Connection: X-Hop', `X-Hop: ${subject.canary}`),
        needs: 'echo'
      }
    ]
  }),
  row('H13', 'a trailer never becomes a header', {
    expected: HIDDEN,
    attacks: (subject) => [
      {
        bytes: `${get(subject, subject.route, bearer(subject), 'Transfer-Encoding: chunked', 'Trailer: X-OpenId')}2\r\nhi\r\n0\r\nX-OpenId: ${subject.canary}\r\n\r\n`,
        needs: 'echo'
      }
    ]
  }),
  row(
    'H14',
    'a path, a method or an address in a header is not believed',
    {
      expected: NO_TOKEN,
      attacks: (subject) => [
        ...barred(OVERRIDES.map((name) => `${name}: /livez`))(subject),
        ...barred(METHOD_OVERRIDES.map((name) => `${name}: OPTIONS`))(subject),
        ...barred(PASSES)(subject)
      ]
    },
    'CVE-2018-14773 (Symfony)',
    'CVE-2025-29927 (Next.js)',
    'CVE-2026-3635 (fastify)'
  ),
  row('H28', 'only a trusted proxy may say where a request came from', {
    expected: HIDDEN,
    attacks: echoed([...FROM_PROXIES, ...METHOD_OVERRIDES, 'X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Uri'])
  }),
  row(
    'H15',
    'identity headers of 微信云托管 are never taken from a client',
    { expected: HIDDEN, attacks: echoed(CLOUD_RUN) },
    '微信云托管 documentation'
  ),
  row(
    'H26',
    'the access token ends at the gateway',
    {
      expected: HIDDEN,
      attacks: (subject) => [{ bytes: get(subject, subject.route, bearer(subject)), needs: 'echo' }]
    },
    'oauth2-proxy #388 and #644'
  )
]
