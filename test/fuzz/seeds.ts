/** Inputs to try every time: earlier findings, and inputs close to a limit of some rule. JSON,
 *  by fuzzer. */
import type { HeaderInput } from './headers.ts'
import type { OpenDataInput } from './open-data.ts'
import type { ProxyHeaderInput } from './proxy-headers.ts'
import { REQUESTS } from './request-seeds.ts'
import { RESPONSES } from './response-seeds.ts'
import type { TokenInput } from './tokens.ts'
import type { WeChatInput } from './wechat.ts'
import type { WireInput } from './wire.ts'

const paths: readonly string[] = [
  '',
  '/',
  '/%61dmin',
  '/%2561dmin',
  '/%25%36%31dmin',
  '/%25u0061dmin',
  '/admin%2e',
  '/adm%C4%B1n/x',
  '/%E2%84%AAelvin',
  '/ad%C2%ADmin',
  '/admin;%2f..',
  '/x;/../admin',
  '/%3b/admin',
  '/x%2f..%2fadmin',
  '/%EF%BC%8E%EF%BC%8E/admin',
  '/admin%EF%BC%9Bx',
  '/+admin',
  '/admin::$DATA',
  '/...::$INDEX_ALLOCATION/Admin',
  '/...',
  '/x/....',
  '/?/../admin',
  '/%C2%85admin',
  '/%E3%80%80/admin',
  '/%ED%A0%80',
  '/admin%'
]

const PLAIN_HEADER = { source: '192.0.2.7', isLocal: false, hasCrc: false, fields: [], edits: [], tail: 'GET / ' }

const proxyHeaders: readonly ProxyHeaderInput[] = [
  { ...PLAIN_HEADER, version: 1 },
  { ...PLAIN_HEADER, version: 1, source: '0:0:0:0:0:ffff:c000:207' },
  { ...PLAIN_HEADER, version: 1, isLocal: true, edits: [{ at: 0.9, cut: 0, put: ` ${'x'.repeat(91)}` }] },
  { ...PLAIN_HEADER, version: 1, edits: [{ at: 0.99, cut: 2, put: 'x'.repeat(120) }] },
  { ...PLAIN_HEADER, version: 1, edits: [{ at: 0.97, cut: 2, put: '\n' }] },
  { ...PLAIN_HEADER, version: 1, edits: [{ at: 0, cut: 0, put: '\r\n' }] },
  { ...PLAIN_HEADER, version: 2, hasCrc: true, fields: ['a', ''], tail: '\0'.repeat(40) },
  { ...PLAIN_HEADER, version: 2, source: 'ffff:0:0:0:0:0:0:1', isLocal: true },
  // The length: 65,292 bytes.
  { ...PLAIN_HEADER, version: 2, edits: [{ at: 0.5, cut: 1, put: '\xff' }], tail: 'x'.repeat(5000) },
  // Family and transport of no version.
  { ...PLAIN_HEADER, version: 2, edits: [{ at: 0.45, cut: 1, put: '\x41' }] }
]

const headers: readonly HeaderInput[] = [
  { raw: [['Host', 'h']], isTrusted: false, httpVersion: '1.1', claim: '\ud800' },
  { raw: [], isTrusted: false, httpVersion: '1.0', claim: '%41' },
  {
    raw: [
      ['Host', 'h'],
      ['X-OpenId', 'a'],
      ['x.openid', 'b'],
      ['X_OpenId', 'c'],
      ['Connection', 'X-OpenId, content-type, x-set'],
      ['Content-Type', 'text/plain'],
      ['__proto__', 'd']
    ],
    isTrusted: true,
    httpVersion: '1.1',
    claim: 'a\r\nX-OpenId: e'
  },
  {
    raw: [
      ['Host', 'h'],
      ['X-Forwarded-For', ''],
      ['X-Forwarded-For', '10.0.0.1'],
      ['X-Forwarded-Host', ''],
      ['traceparent', '00-0-0-00'],
      ['X_Forwarded_For', '1'],
      ['X-Forwarded.For', '2']
    ],
    isTrusted: true,
    httpVersion: '1.1',
    claim: ''
  }
]

const at = (place: number, put: string, cut = 0) => ({ at: place, cut, put })
const changed = (members: object): TokenInput[] =>
  [0, 1, 2].map((algorithm) => ({ kind: 'claims', algorithm, changes: JSON.stringify(members) }))

const tokens: readonly TokenInput[] = [
  { kind: 'bent', algorithm: 0, edits: [] },
  { kind: 'bent', algorithm: 1, edits: [at(1, '=')] },
  { kind: 'bent', algorithm: 2, edits: [at(1, ' ')] },
  { kind: 'bent', algorithm: 0, edits: [at(0, 'bearer ', 7)] },
  { kind: 'bent', algorithm: 0, edits: [at(0, 'Bearer ')] },
  { kind: 'signed', algorithm: 0, header: '{"alg":"none"}', payload: '{}' },
  { kind: 'signed', algorithm: 1, header: 'null', payload: '[]' },
  { kind: 'refresh', edits: [] },
  { kind: 'refresh', edits: [at(0.9, '.')] },
  ...changed({ exp: 1e308 }),
  ...changed({ exp: '4102444800' }),
  ...changed({ iat: -1 }),
  ...changed({ nbf: null }),
  ...changed({ sub: { toString: 'x' } }),
  ...changed({ sub: 'a\r\nb', sid: '张三' }),
  ...changed({ oid: 1, openid: 'oPlain0001', unionid: 7 }),
  ...changed({ claims: { __proto__: { a: 1 }, constructor: 'x', toString: ['a', 1] } })
]

const configs: readonly string[] = [
  '',
  '\ufeff',
  '&a [*a]',
  'a: &a [*a, *a]',
  '? {a: 1}\n: 2\n',
  '!!map {routes: !!seq []}',
  '"\\ud800": 1',
  'routes: [{ path: /\ud800, upstream: a }]',
  'secrets: ["$' + '{A:-$' + '{A}}"]',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[',
  'a: |\n\t- b',
  '---\n...\n---\n'
]

const none = { data: [], iv: [], key: [] }
const openData: readonly OpenDataInput[] = [
  { plain: '', isPadded: true, edits: none },
  { plain: '', isPadded: false, edits: none },
  { plain: '{"watermark":{"appid":"wx1234567890abcdef","timestamp":null}}', isPadded: true, edits: none },
  { plain: '{"watermark":{"appid":"wx1234567890abcdef","timestamp":1e999}}', isPadded: true, edits: none },
  { plain: '{"watermark":"wx1234567890abcdef","__proto__":{"watermark":{}}}', isPadded: true, edits: none },
  { plain: '\xff\xfe', isPadded: true, edits: { ...none, key: [at(0.5, '\n')] } }
]

const ok = (text: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(text, 'latin1')}\r\n\r\n${text}`
const wechat: readonly WeChatInput[] = [
  { call: 'login', answer: '', token: null },
  { call: 'login', answer: ok('null'), token: null },
  { call: 'login', answer: ok('{"errcode":"0"}'), token: null },
  { call: 'login', answer: ok('{"openid":"oAlice00001","openid":"oMallory001","session_key":"x"}'), token: null },
  { call: 'login', answer: `HTTP/1.1 100 Continue\r\n\r\n${ok('{"errcode":-1}')}`, token: null },
  { call: 'login', answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', token: null },
  { call: 'login', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}', token: null },
  { call: 'checkSession', answer: ok('{"errcode":1e999}'), token: null },
  { call: 'phoneNumber', answer: ok('{"errcode":0,"phone_info":{"phoneNumber":["1"]}}'), token: null },
  { call: 'resetSession', answer: ok('{}'), token: ok('{"access_token":{},"expires_in":-1}') },
  { call: 'checkSession', answer: ok('{}'), token: ok('{"access_token":"a\\r\\nb","expires_in":1e999}') }
]

const wire: readonly WireInput[] = [
  // Request lines of other versions, which Node's parser accepts.
  { base: 0, edits: [at(0.35, 'HTTP/2.0', 8)], cut: 0 },
  { base: 0, edits: [at(0.35, 'HTTP/0.9', 8)], cut: 0 },
  { base: 3, edits: [at(0.2, 'Transfer-Encoding: chunked\r\n')], cut: 0.5 },
  { base: 4, edits: [at(0.97, 'ffffffffffffffff\r\n')], cut: 0.9 },
  { base: 5, edits: [at(0.95, '"__proto__":{},')], cut: 0 },
  { base: 10, edits: [at(0.3, 'GET /admin HTTP/1.1\r\nHost: t\r\n\r\n')], cut: 0 },
  { base: 12, edits: [at(0.1, '\xff')], cut: 0 },
  { base: 13, edits: [at(1, '\0')], cut: 0 }
]

export const SEEDS: Readonly<Record<string, readonly unknown[]>> = {
  paths,
  headers,
  tokens,
  configs,
  'open-data': openData,
  'proxy-headers': proxyHeaders,
  requests: REQUESTS,
  responses: RESPONSES,
  wechat,
  wire
}
