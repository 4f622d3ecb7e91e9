/** Family H: headers that claim an identity, an address, another request, or to belong to the
 *  gateway. */
import { HIDDEN, NO_TOKEN, type Row, refused, SERVED } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

const IDENTITIES = `X-OpenId x-openid X-OPENID X_OpenId x_openid X.OpenId X-UnionId X_UnionId X-AppId X-User-Id X-User_Id
  X_USER_ID X-User-Status X-Session-Id x_session_id X-Session-Key`
/** Characters that some servers fold into the "-" or "_" of a variable name. */
const FOLDED = "X!OpenId x*openid X'User'Id X~Session~Id X|AppId x+unionid X.WX.OPENID"
/** Trusted by backends of WeChat Cloud Run (微信云托管). */
const CLOUD_RUN = `X-WX-OPENID X_WX_OPENID X-WX-UNIONID X-WX-APPID X-WX-FROM-OPENID X-WX-FROM-APPID X-WX-FROM-UNIONID
  X-WX-SOURCE x.wx.source X-WX-ENV X-WX-SERVICE X-WX-CLOUDBASE-ACCESS-TOKEN x-wx-anything`
const OVERRIDES = `X-Original-URL X-Rewrite-URL X-Original-URI X-Forwarded-Uri X-Forwarded-Path X-Forwarded-Prefix
  X-Accel-Redirect`
const METHOD_OVERRIDES = 'X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Original-Method X-Forwarded-Method'
const HOP_BY_HOP = `TE Trailer Proxy-Connection Proxy-Authorization Proxy_Authorization Proxy-Authenticate Proxy.Connection
  Proxy Keep-Alive Upgrade HTTP2-Settings`
/** Set by proxies in front of the gateway. */
const FROM_PROXIES = `X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port X-Forwarded-Server
  X-Forwarded-Prefix X-Forwarded-Ssl X-Forwarded-User X-Forwarded X-Real-IP Forwarded Forwarded-For X-Original-Host X-Host
  True-Client-IP CF-Connecting-IP X-Client-IP X-Cluster-Client-IP X-Original-Forwarded-For Proxy-Client-IP
  WL-Proxy-Client-IP Client-IP X-Envoy-External-Address X-Envoy-Original-Path X-Amzn-Oidc-Identity X_Forwarded_For
  X.Forwarded.For X_Real_IP X.Real.IP X.Request.Id`
/** Headers by which other gateways and frameworks pass identities on or let requests through. */
const PASSES = [
  'X-Auth-Request-User: admin',
  'X-Forwarded-User: admin',
  'Remote-User: admin',
  'X-Authenticated-User: admin',
  'X-Forwarded-For: 127.0.0.1',
  'X-Real-IP: 127.0.0.1',
  'Forwarded: for=127.0.0.1;proto=https',
  'X-Forwarded-Host: localhost',
  'X-Forwarded-Port: 1',
  'X-Forwarded-Prefix: /public, {route}',
  'X-Custom-IP-Authorization: 127.0.0.1',
  'X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware',
  'Authorization_: Bearer x',
  'X-Authorization: Bearer x',
  'Proxy-Authorization: Bearer x',
  'Cookie: access_token=x; session=admin',
  'Referer: https://servicewechat.com/wx1234567890abcdef/devtools/page-frame.html',
  'User-Agent: GoogleHC/1.0',
  'User-Agent: kube-probe/1.30',
  'Access-Control-Request-Method: GET'
]

/** On a request without a token. */
const barred = { before: '{GET}', after: '\r\n\r\n', expected: NO_TOKEN }
/** On a request with a token. */
const known = { before: '{GET}{auth}', after: '\r\n\r\n', expected: SERVED, needs: 'token' } as const
/** Each name with the canary as its value, beside a real token. */
const echoed = { before: '{GET}{auth}', after: ': {canary}\r\n\r\n', expected: HIDDEN, needs: 'echo' } as const

const rows: readonly Omit<RowText, 'family'>[] = [
  {
    id: 'H01',
    rule: 'an identity header is no credential',
    sources: ['CVE-2020-25017 (Envoy)'],
    ...barred,
    after: ': oForgedForged1\r\n\r\n',
    cases: `${IDENTITIES} ${CLOUD_RUN}`
  },
  {
    id: 'H02',
    rule: 'an identity header is not a credential',
    sources: ['CVE-2025-64484 (oauth2-proxy)', 'GHSA-5m6w-wvh7-57vm (Traefik)'],
    ...echoed,
    cases: `${IDENTITIES} ${FOLDED}`
  },
  {
    id: 'H03',
    rule: 'an identity header sent more than once does not reach the upstream either',
    sources: ['CVE-2020-25017 (Envoy)'],
    ...echoed,
    cases: ['X-OpenId: {canary}\r\nx-openid', 'X-User-Id: {canary}\r\nX_USER_ID: {canary}\r\nx-user-id', 'X-OpenId:\t']
  },
  {
    id: 'H05',
    rule: 'a client cannot have identity headers removed by naming them in Connection',
    sources: ['CVE-2025-48865 (Fabio)', 'CVE-2024-45410 (Traefik)'],
    ...known,
    before: '{GET}{auth}Connection: ',
    cases: [
      'X-OpenId',
      'keep-alive, X-OpenId, X-User-Id, X-User-Status',
      'x-appid, x-session-id, x-unionid',
      'authorization, cookie',
      'x-forwarded-for, x-forwarded-host, x-request-id, traceparent',
      'content-length',
      'host',
      'transfer-encoding',
      '__proto__, constructor',
      ',, X_OpenId ,;,',
      'X-OpenId\r\nConnection: X-User-Id',
      '{a,*2000} x-openid'
    ]
  },
  {
    id: 'H07',
    rule: 'property names of every JavaScript object are harmless as header names',
    sources: ['CVE-2026-21710 (Node.js)'],
    ...echoed,
    cases: '__proto__ constructor Constructor prototype hasOwnProperty toString valueOf'
  },
  {
    id: 'H08',
    rule: 'hop-by-hop headers and unknown upgrades are ignored, and the request is served',
    sources: ['RFC 9110, 7.6.1 and 7.8', 'Http11Probe'],
    ...known,
    cases: [
      'Keep-Alive: timeout=5, max=1000',
      'P| Upgrade: websocket',
      'Connection: Upgrade\r\nUpgrade: h2c',
      'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
      'Upgrade: TLS/1.0\r\nConnection: Upgrade',
      'P| Connection: Upgrade\r\nUpgrade: wxgate-selftest/1.0',
      'Expect: 100-continue',
      'TE: gzip',
      'Trailer: X-OpenId',
      'Proxy-Connection: keep-alive'
    ]
  },
  {
    id: 'H11',
    rule: 'an expectation that cannot be met is refused',
    sources: ['RFC 9110, 10.1.1', 'Http11Probe'],
    ...barred,
    before: '{GET}Expect: ',
    expected: refused([417, 400, 401, 403], []),
    cases: ['999', 'P| 200-ok', '100-continue, 999', 'x=y', '']
  },
  {
    id: 'H12',
    rule: 'hop-by-hop headers end at the gateway',
    sources: ['RFC 9110, 7.6.1'],
    ...echoed,
    cases: [
      ...HOP_BY_HOP.split(/\s+/),
      'Connection: X-Hop\r\nX-Hop',
      'Connection:x-HOP\t,close\r\nx-hop',
      'Connection: cookie\r\nCookie'
    ]
  },
  {
    id: 'H13',
    rule: 'a trailer never becomes a header',
    sources: ['RFC 9110, 6.5.1', 'Http11Probe'],
    ...echoed,
    before: '{GET}{auth}Transfer-Encoding: chunked\r\nTrailer: X-OpenId\r\n\r\n2\r\nhi\r\n0\r\n',
    cases: 'X-OpenId X_AppId P|Host P|Authorization P|Content-Type P|X-Checksum'
  },
  {
    id: 'H14',
    rule: 'a path, a method or an address in a header does not count',
    sources: ['CVE-2018-14773 (Symfony)', 'CVE-2025-29927 (Next.js)', 'CVE-2026-3635 (fastify)'],
    ...barred,
    cases: [
      ...OVERRIDES.split(/\s+/).map((name) => `${name}: /livez`),
      ...METHOD_OVERRIDES.split(/\s+/).map((name) => `${name}: OPTIONS`),
      ...PASSES
    ]
  },
  {
    id: 'H28',
    rule: 'only a trusted proxy may say where a request came from',
    ...echoed,
    cases: `${FROM_PROXIES} ${METHOD_OVERRIDES} X-Original-URL X-Rewrite-URL X-Forwarded-Uri tracestate`
  },
  {
    id: 'H15',
    rule: 'identity headers of 微信云托管 are never taken from a client',
    sources: ['微信云托管 documentation'],
    ...echoed,
    cases: CLOUD_RUN
  },
  {
    id: 'H26',
    rule: 'the access token ends at the gateway',
    sources: ['oauth2-proxy #388 and #644'],
    ...echoed,
    after: '\r\n',
    cases: ['', 'Authorization_: Bearer {token}\r\n']
  }
]

export const HEADERS: readonly Row[] = rows.map((row) => toRow({ family: 'headers', ...row }))
