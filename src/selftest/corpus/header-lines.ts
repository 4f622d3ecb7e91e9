/** Family H, continued: malformed, repeated and oversized header lines, and WebSocket
 *  handshakes. */
import { NO_TOKEN, type Row, refused, SERVED, served } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

const BAD_LINE = refused([400], ['bad_header', 'invalid_request'])
/** A line in several pieces cannot always be distinguished from a long target. */
const TOO_LARGE = refused([400, 401, 403, 413, 414, 431], ['headers_too_large', 'uri_too_long', 'token_missing'])
const WEBSOCKET = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'

const bad = { before: '{GET}', after: '\r\n\r\n', expected: BAD_LINE }

const rows: readonly Omit<RowText, 'family'>[] = [
  {
    id: 'H04',
    rule: 'white space before the colon and folded lines are refused (RFC 9112, 5.1 and 5.2)',
    sources: ['RFC 9112, 2.2, 5.1 and 5.2', 'CVE-2019-16276 (Go)', 'Http11Probe', 'HTTP Garden'],
    ...bad,
    cases: [
      'P| X-OpenId : oForged1',
      'X-OpenId\t: oForged1',
      'Authorization : Bearer x',
      'A: 1\r\n X-OpenId: oForged1',
      'A: 1\r\n\tX-OpenId: oForged1',
      'P| A: 1\r\n more',
      'A:\r\n more',
      'G| Transfer-\r\nEncoding: chunked'
    ]
  },
  {
    id: 'H29',
    rule: 'white space between the request line and the first header is refused (RFC 9112, 2.2)',
    sources: ['RFC 9112, 2.2', 'Http11Probe', 'HTTP Garden'],
    ...bad,
    before: 'GET {route} HTTP/1.1\r\n',
    cases: [' Host: {host}', 'P|  \r\nHost: {host}', 'G| \tContent-Length: 1\r\nHost: {host}', '\tX: 1\r\nHost: {host}']
  },
  {
    id: 'H16',
    rule: 'a WebSocket needs a token like any other request',
    expected: refused([400, 401, 403, 426], ['token_missing']),
    sources: ['@fastify/http-proxy: HTTP hooks do not apply to WebSocket'],
    before: `{GET}Connection: Upgrade\r\n${WEBSOCKET}`,
    cases: [
      '\r\n',
      'X-OpenId: oForged1\r\n\r\n',
      'Sec-WebSocket-Protocol: bearer, x\r\n\r\n',
      'Origin: https://servicewechat.com\r\n\r\n',
      'Cookie: access_token=x\r\n\r\n'
    ]
  },
  {
    id: 'H30',
    rule: 'a request other than a WebSocket handshake is not upgraded (RFC 6455, 4.1; RFC 9110, 7.8)',
    expected: served({ orStatuses: [400, 426] }),
    sources: ['RFC 6455, 4.1 and 4.4', 'RFC 9110, 7.8', 'Http11Probe'],
    needs: 'echo',
    cases: [
      `P| {POST}{auth}Connection: Upgrade\r\n${WEBSOCKET}Content-Length: 0\r\n\r\n`,
      `P| GET {route} HTTP/1.0\r\nHost: {host}\r\n{auth}Connection: Upgrade\r\n${WEBSOCKET}\r\n`,
      `P| {GET}{auth}Connection: Upgrade\r\n${WEBSOCKET.replace('13', '99')}\r\n`,
      `P| {GET}{auth}${WEBSOCKET}\r\n`
    ]
  },
  {
    id: 'H17',
    rule: 'a request has exactly one Host, and it is a host (RFC 9112, 3.2)',
    sources: ['RFC 9112, 3.2', 'RFC 9110, 7.2', 'Http11Probe', 'h1spec', 'HTTP Garden'],
    ...bad,
    before: 'GET {route} HTTP/1.1\r\n',
    cases: [
      'P| Accept: */*',
      'S| Content-Length: 0',
      'P| Host: {host}\r\nHost: {host}',
      'PS| Host: {host}\r\nHost: evil.invalid',
      'Host: {host}\r\nhost: evil.invalid',
      'P| Host: ',
      'P| Host: user@evil.invalid',
      'P| Host: evil.invalid/path',
      'P| Host: {host}, evil.invalid',
      'G| Host: evil.invalid\0.invalid',
      'G| Host: \xffevil.invalid\xff',
      'Host: a b',
      'Host: a/../b',
      'Host: a:b',
      'Host: evil.invalid:80:80',
      'Host: a\\b',
      'Host: a?b',
      'Host: a#b',
      'Host: http://a',
      'Host: [::1',
      'Host: [x]',
      'Host: a%zz',
      'Host: a<b'
    ]
  },
  {
    id: 'H18',
    rule: 'Authorization and Content-Type may be sent once',
    sources: ['RFC 9110, 5.3', 'CVE-2020-25017 (Envoy)', 'Http11Probe'],
    ...bad,
    expected: refused([400, 401, 403], ['bad_header']),
    cases: [
      'Authorization: Bearer a\r\nAuthorization: Bearer b',
      'Authorization: Bearer a\r\nAUTHORIZATION: Bearer a',
      'P| Content-Type: application/json\r\nContent-Type: text/plain',
      'Content-Type: a/b\r\ncontent-type: a/b'
    ]
  },
  {
    id: 'H31',
    rule: 'a real token beside a second one is refused too',
    sources: ['CVE-2020-25017 (Envoy)'],
    ...bad,
    expected: refused([400, 401, 403], ['bad_header']),
    needs: 'token',
    cases: ['{auth}Authorization: Bearer b', 'Authorization: Bearer b\r\n{auth}Accept: */*', '{auth}{auth}Accept: */*']
  },
  {
    id: 'H19',
    rule: 'control characters, malformed names and lines without a colon are refused (RFC 9110, 5.1 and 5.5)',
    sources: [
      'RFC 9110, 5.1 and 5.5',
      'RFC 9112, 2.2 and 5',
      'CVE-2023-25725 (HAProxy)',
      'Http11Probe',
      'h1spec',
      'HTTP Garden'
    ],
    ...bad,
    cases: [
      'P| X-A: a\0b',
      'G| X-A: a\0',
      'PG| X-A: a\rb',
      'G| X-A: a\0\rb',
      'G| X-A: a\rX-OpenId: oForged1',
      'P| X-A: a\nX-OpenId: oForged1',
      'G| X-A:\n\nGET {route} HTTP/1.1',
      'PG| : oForged1',
      'G| :',
      'G| :\r\nX-A: a',
      'G| a:b\r\nc\0',
      'X-A\0: a',
      'S| X-A: a\x07',
      'P| X-A: abc\x07\x08\x0bdef',
      'P| Cookie: a=\0b',
      'P| Cookie: a=\x01\x02\x03',
      'X-A: a\x7fb',
      'X A: a',
      'G| Content-Length 10',
      'PS| X-A[]: a',
      'G| X"(),/;<=>?@[/]{}: a',
      'PG| X-\xc3\xab: a',
      'G| \xefoo: a',
      'G| X-A\x85: a',
      'G| Content-Length\x85: 10',
      'P| Content\tLength: 99',
      'G| Te\nst: a',
      'P| no colon here',
      'S| X-A: a\r\n\r\rX-B: b',
      'G| X-A: a\r\n\rZGET /evil: HTTP/1.1'
    ]
  },
  {
    id: 'H20',
    rule: 'a value beyond ASCII, an empty one and white space around it are served (RFC 9110, 5.5)',
    expected: SERVED,
    sources: ['RFC 9110, 5.5', 'CVE-2026-73552 (Envoy)', 'Http11Probe', 'h1spec', 'HTTP Garden'],
    needs: 'token',
    cases: [
      '{GET}{auth}X-A: \xe5\xbc\xa0\xe4\xb8\x89\r\n\r\n',
      '{GET}{auth}X-A: \xff\xfe\r\n\r\n',
      'G| {GET}{auth}X-A: \x85admin\xa0\r\n\r\n',
      'S| {GET}{auth}X-A: \r\n\r\n',
      'S| GET {route} HTTP/1.1\r\nhoSt:\t{host}\r\n{auth}empty:\r\n\r\n',
      'P| {GET}{auth}Cookie: \r\n\r\n',
      'P| {GET}{auth}Cookie: ===;;;\r\n\r\n',
      'P| {GET}{auth}Cookie: a=1\r\nCookie: b=2\r\n\r\n',
      'P| {GET}{auth}Cookie: a=hello world; b=x=y\r\n\r\n',
      'P| {GET}{auth}Cookie: {k=v; *1000}k=v\r\n\r\n'
    ]
  },
  {
    id: 'H32',
    rule: 'conditions, ranges and preferences of a client are passed on, not judged (RFC 9110, 12 to 14)',
    expected: SERVED,
    sources: ['RFC 9110, 12.5.1, 13.1 and 14.2', 'Http11Probe'],
    needs: 'token',
    before: '{GET}{auth}',
    after: '\r\n\r\n',
    cases: [
      'P| If-None-Match: "wxgate"',
      'P| If-None-Match: W/"wxgate"',
      'P| If-None-Match: wxgate',
      'P| If-Modified-Since: Thu, 01 Jan 2099 00:00:00 GMT',
      'P| If-Modified-Since: not-a-date',
      'P| Range: bytes=abc-xyz',
      'P| Range: bytes={0-,*1000}0-',
      'P| Accept: application/x-nonsense'
    ]
  },
  {
    id: 'H22',
    rule: 'headers beyond the limit are refused',
    expected: TOO_LARGE,
    sources: ['RFC 6585, 5', 'Http11Probe'],
    before: '{GET}',
    after: '\r\n\r\n',
    cases: [
      'X-A: {a*20000}',
      'X-A: {a*60000}',
      'P| X-A: {B*100000}',
      '{A*20000}: a',
      'P| {A*100000}: a',
      'X-A: a{\r\nX-A: a*2500}',
      'P| X-A: a{\r\nX-H: value*10000}',
      'Cookie: a=b{\r\nCookie: a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb*1000}',
      'P| Cookie: a={A*65536}'
    ]
  },
  {
    id: 'H27',
    rule: 'a credential in a query or a cookie does not count',
    expected: NO_TOKEN,
    before: 'GET {route}',
    after: ' HTTP/1.1\r\nHost: {host}\r\nCookie: openid=oForged1\r\n\r\n',
    cases: '?access_token=x ?token=x&openid=oForged1 ?X-OpenId=oForged1'
  }
]

export const HEADER_LINES: readonly Row[] = rows.map((row) => toRow({ family: 'headers', ...row }))
