/** Family H, further: header lines that are none, twice there, too many, or ask for another protocol. */
import { get, NO_TOKEN, type Row, refused, request, SERVED, type Subject, utf8 } from './case.ts'
import { bearer } from './corpus-headers.ts'

const BAD_LINE = refused([400], ['bad_header', 'invalid_request'])
/** A line that comes in several pieces cannot always be told from a long target. */
const TOO_LARGE = refused([400, 401, 403, 413, 414, 431], ['headers_too_large', 'uri_too_long', 'token_missing'])
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
]

/** The lines as they are, on a request without a token and without a Host of its own. */
const lines = (texts: (host: string) => readonly string[]) => (subject: Subject) =>
  texts(subject.host).map((text) => ({ bytes: request(`GET ${subject.route} HTTP/1.1`, [text]) }))

export const HEADER_LINES: readonly Row[] = [
  {
    id: 'H04',
    family: 'headers',
    rule: 'a space before the colon and a folded line are refused (RFC 9112, 5.1 and 5.2)',
    expected: BAD_LINE,
    sources: ['Http11Probe', 'CVE-2019-16276 (Go)'],
    attacks: lines((host) => [
      `Host: ${host}\r\nX-OpenId : oForged1`,
      `Host: ${host}\r\nX-OpenId\t: oForged1`,
      `Host: ${host}\r\nA: 1\r\n X-OpenId: oForged1`,
      `Host: ${host}\r\nA: 1\r\n\tX-OpenId: oForged1`,
      ` Host: ${host}`,
      `Host: ${host}\r\nAuthorization : Bearer x`
    ])
  },
  {
    id: 'H16',
    family: 'headers',
    rule: 'a WebSocket needs a token like any other request',
    expected: refused([400, 401, 403, 426], ['token_missing']),
    sources: ['@fastify/http-proxy: HTTP hooks do not apply to WebSocket'],
    attacks: (subject) =>
      [
        [],
        ['X-OpenId: oForged1'],
        ['Sec-WebSocket-Protocol: bearer, x'],
        ['Origin: https://servicewechat.com'],
        ['Cookie: access_token=x']
      ].map((more) => ({ bytes: get(subject, subject.route, ...WEBSOCKET, ...more) }))
  },
  {
    id: 'H17',
    family: 'headers',
    rule: 'a request has exactly one Host, and it is a host (RFC 9112, 3.2)',
    expected: BAD_LINE,
    sources: ['Http11Probe'],
    attacks: lines((host) => [
      `Host: ${host}\r\nHost: ${host}`,
      `Host: ${host}\r\nHost: evil.invalid`,
      'Host: a b',
      'Host: a/../b',
      'Host: user@evil.invalid',
      'Host: evil.invalid, other.invalid',
      'Host: evil.invalid:80:80',
      'Accept: */*'
    ])
  },
  {
    id: 'H18',
    family: 'headers',
    rule: 'Authorization, Content-Type and Content-Length come once',
    expected: refused([400, 401, 403], ['bad_header']),
    sources: ['CVE-2020-25017 (Envoy)'],
    attacks: (subject) => {
      const { host, route } = subject
      return [
        { bytes: get(subject, route, 'Authorization: Bearer a', 'Authorization: Bearer b') },
        { bytes: get(subject, route, bearer(subject), 'Authorization: Bearer b'), needs: 'token' },
        { bytes: get(subject, route, 'Authorization: Bearer b', bearer(subject)), needs: 'token' },
        { bytes: get(subject, route, bearer(subject), bearer(subject)), needs: 'token' },
        {
          bytes: request(`POST ${route} HTTP/1.1`, [
            `Host: ${host}`,
            'Content-Type: application/json',
            'Content-Type: text/plain',
            'Content-Length: 0'
          ])
        }
      ]
    }
  },
  {
    id: 'H19',
    family: 'headers',
    rule: 'control characters and empty names are refused',
    expected: BAD_LINE,
    sources: ['CVE-2023-25725 (HAProxy)'],
    attacks: lines((host) => [
      `Host: ${host}\r\nX-A: a\0b`,
      `Host: ${host}\r\nX-A: a\rb`,
      `Host: ${host}\r\nX-A: a\nX-OpenId: oForged1`,
      `Host: ${host}\r\n: oForged1`,
      `Host: ${host}\r\nX-A\0: a`,
      `Host: ${host}\r\nX A: a`,
      `Host: ${host}\r\n${utf8('é')}: a`,
      `Host: ${host}\r\nX-A: a\x01b`,
      `Host: ${host}\r\nno colon here`
    ])
  },
  {
    id: 'H20',
    family: 'headers',
    rule: 'a value beyond ASCII is no reason to fail',
    expected: SERVED,
    sources: ['CVE-2026-73552 (Envoy)'],
    attacks: (subject) => [
      { bytes: get(subject, subject.route, bearer(subject), utf8('X-A: 张三')), needs: 'token' },
      { bytes: get(subject, subject.route, bearer(subject), 'X-A: \xff\xfe'), needs: 'token' }
    ]
  },
  {
    id: 'H22',
    family: 'headers',
    rule: 'headers beyond the limit are refused',
    expected: TOO_LARGE,
    sources: ['RFC 6585, 5'],
    attacks: (subject) => {
      const { host, route } = subject
      const many = (count: number, line: (index: number) => string) =>
        request(`GET ${route} HTTP/1.1`, [`Host: ${host}`, ...Array.from({ length: count }, (_, index) => line(index))])
      return [
        { bytes: many(1, () => `X-A: ${'a'.repeat(20_000)}`) },
        { bytes: many(1, () => `X-A: ${'a'.repeat(60_000)}`) },
        { bytes: many(1, () => `${'A'.repeat(20_000)}: a`) },
        { bytes: many(2_500, (index) => `X-${index}: a`) },
        { bytes: many(40, () => `Cookie: a=${'b'.repeat(500)}`) }
      ]
    }
  },
  {
    id: 'H27',
    family: 'headers',
    rule: 'a credential in other words is none',
    expected: NO_TOKEN,
    sources: [],
    attacks: (subject) =>
      ['?access_token=x', '?token=x&openid=oForged1', '?X-OpenId=oForged1'].map((query) => ({
        bytes: get(subject, subject.route + query, `Cookie: openid=oForged1`)
      }))
  }
]
