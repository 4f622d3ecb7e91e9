/** Family S: where a request ends. Whoever disagrees about that lets one client's bytes become another one's request. */
import { below, get, NO_TOKEN, type Refused, type Row, refused, request, SERVED, type Subject } from './case.ts'
import { bearer } from './corpus-headers.ts'

const BAD_FRAMING = refused([400, 411, 501], ['bad_header', 'invalid_request'])
/** The head is fine, the body is not: the refusal may come from either, and the connection is of no use after it. */
const BAD_BODY = refused([400, 401, 403, 413, 415, 431], ['bad_header', 'invalid_request', 'token_missing'], {
  mustClose: true
})
const IN_STEP = refused([400, 401, 403, 405, 413, 415, 501], ['token_missing', 'bad_header'])

const SMUGGLED = 'GET /wxgate-selftest-smuggled HTTP/1.1\r\nHost: smuggled.invalid\r\n\r\n'

interface FramingRow {
  readonly id: string
  readonly rule: string
  readonly expected: Refused
  readonly sources?: readonly string[]
  /** Header lines and body of a POST to the protected path, without a token. */
  readonly bodies: readonly (readonly [lines: string, body: string])[]
}

const CHUNKED = 'Transfer-Encoding: chunked'
const smuggledLength = `Content-Length: ${SMUGGLED.length}`

const rows: readonly FramingRow[] = [
  {
    id: 'S21',
    rule: 'Content-Length and Transfer-Encoding together are refused (RFC 9112, 6.3)',
    expected: BAD_FRAMING,
    sources: ['HTTP Garden', 'Http11Probe'],
    bodies: [
      [`Content-Length: 6\r\n${CHUNKED}`, '0\r\n\r\nG'],
      [`${CHUNKED}\r\nContent-Length: 4`, '5c\r\n'],
      [`Content-Length: 0\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`],
      ['Content-Length: 5\r\nTransfer-Encoding: identity', 'hello']
    ]
  },
  {
    id: 'S22',
    rule: 'Content-Length is one number in decimal digits',
    expected: BAD_FRAMING,
    sources: ['CVE-2021-40346 (HAProxy)', 'CVE-2023-40225 (HAProxy)', 'Http11Probe'],
    bodies: [
      ['Content-Length: 3\r\nContent-Length: 3', 'abc'],
      ['Content-Length: 3\r\nContent-Length: 5', 'abc'],
      ['Content-Length: 3, 3', 'abc'],
      ['Content-Length: +3', 'abc'],
      ['Content-Length: -1', ''],
      ['Content-Length: 0x3', 'abc'],
      ['Content-Length: 3 3', 'abc'],
      ['Content-Length : 3', 'abc'],
      ['Content-Length: 3.0', 'abc'],
      ['Content-Length: 3;a', 'abc'],
      ['Content-Length: 99999999999999999999', 'abc'],
      ['Content-Length:', ''],
      ['Content-Length: a', '']
    ]
  },
  {
    id: 'S23',
    rule: 'Transfer-Encoding is exactly "chunked"',
    expected: BAD_FRAMING,
    sources: ['CVE-2022-32213 (Node.js)', 'CVE-2022-32215 (Node.js)', 'HTTP Garden'],
    bodies: [
      ['Transfer-Encoding: xchunked', '0\r\n\r\n'],
      ['Transfer-Encoding: chunked, identity', '0\r\n\r\n'],
      ['Transfer-Encoding: identity, chunked', '0\r\n\r\n'],
      ['Transfer-Encoding: gzip, chunked', '0\r\n\r\n'],
      ['Transfer-Encoding: chunked, chunked', '0\r\n\r\n'],
      [`${CHUNKED}\r\n${CHUNKED}`, '0\r\n\r\n'],
      ['Transfer-Encoding: \x0bchunked', '0\r\n\r\n'],
      ['Transfer-Encoding: "chunked"', '0\r\n\r\n'],
      ['Transfer-Encoding : chunked', '0\r\n\r\n'],
      ['Transfer-Encoding: chunked;q=1', '0\r\n\r\n'],
      ['Transfer-Encoding:\r\n chunked', '0\r\n\r\n'],
      ['Transfer-Encoding: gzip', '0\r\n\r\n'],
      ['Transfer-Encoding:', '0\r\n\r\n']
    ]
  },
  {
    id: 'S24',
    rule: 'a chunk that is none ends the connection',
    expected: BAD_BODY,
    sources: ['CVE-2025-55315 (ASP.NET Core)', 'Http11Probe'],
    bodies: [
      [CHUNKED, `0x3\r\nabc\r\n0\r\n\r\n`],
      [CHUNKED, `-1\r\nabc\r\n0\r\n\r\n`],
      [CHUNKED, `FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n`],
      [CHUNKED, `2;\nxx\r\nab\r\n0\r\n\r\n`],
      [CHUNKED, '3\nabc\n0\n\n'],
      [CHUNKED, '3\r\nabcX\r\n0\r\n\r\n'],
      [CHUNKED, '3 \r\nabc\r\nx\r\n\r\n'],
      [CHUNKED, `3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`],
      [CHUNKED, `\r\n${SMUGGLED}`],
      [CHUNKED, `+0\r\n\r\n${SMUGGLED}`]
    ]
  },
  {
    id: 'S02',
    rule: 'another case of "chunked" is still chunked, and the connection stays in step',
    expected: IN_STEP,
    bodies: [
      ['Transfer-Encoding: CHUNKED', '3\r\nabc\r\n0\r\n\r\n'],
      ['Transfer-Encoding:\tchunked', '3\r\nabc\r\n0\r\n\r\n']
    ]
  },
  {
    id: 'S03',
    rule: 'an underscore does not frame',
    expected: IN_STEP,
    sources: ['CVE-2025-64484 (oauth2-proxy)'],
    bodies: [
      ['Transfer_Encoding: chunked\r\nContent-Length: 0', ''],
      [`Content_Length: 3\r\n${smuggledLength}`, SMUGGLED]
    ]
  },
  {
    id: 'S05',
    rule: 'a body is a body, whatever Connection names',
    expected: IN_STEP,
    sources: ['CVE-2024-45410 (Traefik)'],
    bodies: [
      [`${smuggledLength}\r\nConnection: content-length`, SMUGGLED],
      [`${smuggledLength}\r\nConnection: keep-alive, content-length, host`, SMUGGLED],
      [`${CHUNKED}\r\nConnection: transfer-encoding`, `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`],
      [smuggledLength, SMUGGLED]
    ]
  }
]

const post = ({ host, route }: Subject, lines: string, body: string) =>
  request(`POST ${route} HTTP/1.1`, [`Host: ${host}`, 'Content-Type: text/plain', lines], body)

/** Requests written out, each beginning with its own request line. */
function written(
  id: string,
  rule: string,
  expected: Refused,
  sources: readonly string[],
  bytes: (subject: Subject) => readonly string[]
): Row {
  return {
    id,
    family: 'framing',
    rule,
    expected,
    sources,
    attacks: (subject) => bytes(subject).map((text) => ({ bytes: text }))
  }
}

const NO_METHOD = refused(
  [400, 401, 403, 404, 405, 501],
  ['method_not_allowed', 'token_missing', 'invalid_request', 'bad_path']
)
const NO_HTTP = refused([400, 505], ['invalid_request', 'bad_header', 'bad_path'])

export const FRAMING: readonly Row[] = [
  ...rows.map(
    ({ bodies, sources = [], ...rest }): Row => ({
      ...rest,
      family: 'framing',
      sources,
      attacks: (subject) => bodies.map(([lines, body]) => ({ bytes: post(subject, lines, body) }))
    })
  ),
  written(
    'S04',
    'the body of a GET or HEAD is read over, not read as a request',
    IN_STEP,
    ['HTTP Garden'],
    (subject) => [
      `${get(subject, subject.route, smuggledLength)}${SMUGGLED}`,
      `${get(subject, subject.route, CHUNKED)}${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`,
      `${get(subject, below(subject.route, 'x'), 'Content-Type: text/plain', smuggledLength)}${SMUGGLED}`
    ]
  ),
  written('S06', 'HTTP/1.0 has no chunks (RFC 9112, 6.1)', BAD_FRAMING, ['RFC 9112, 6.1'], ({ host, route }) => [
    request(`POST ${route} HTTP/1.0`, [`Host: ${host}`, CHUNKED], '0\r\n\r\n'),
    request(`GET ${route} HTTP/1.0`, [`Host: ${host}`, CHUNKED, 'Connection: keep-alive'], '0\r\n\r\n')
  ]),
  written('S07', 'what is not HTTP/1 is not guessed at', NO_HTTP, ['Http11Probe'], ({ host, route }) => [
    request(`GET ${route}`, []),
    request(`GET ${route} HTTP/1.2`, [`Host: ${host}`]),
    request(`GET ${route} HTTP/2.0`, [`Host: ${host}`]),
    request(`GET ${route} HTTP/9.9`, [`Host: ${host}`]),
    request(`GET ${route} HTTPS/1.1`, [`Host: ${host}`]),
    request(`GET ${route} http/1.1`, [`Host: ${host}`]),
    request(`GET\t${route} HTTP/1.1`, [`Host: ${host}`]),
    request(`GET ${route}\tHTTP/1.1`, [`Host: ${host}`]),
    request(`GET ${route} x HTTP/1.1`, [`Host: ${host}`]),
    request(`get ${route} HTTP/1.1`, [`Host: ${host}`]),
    `GET ${route} HTTP/1.1\nHost: ${host}\n\n`,
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'
  ]),
  written('S08', 'the gateway is no tunnel', NO_METHOD, ['RFC 9110, 9.3.6'], ({ host, route }) => [
    request('CONNECT evil.invalid:443 HTTP/1.1', ['Host: evil.invalid:443']),
    request(`CONNECT ${host} HTTP/1.1`, [`Host: ${host}`]),
    request(`CONNECT ${route} HTTP/1.1`, [`Host: ${host}`])
  ]),
  written('S09', 'unusual methods need a token too', NO_METHOD, ['RFC 9110, 9.3.8'], ({ host, route }) =>
    ['TRACE', 'PROPFIND', 'QUERY', 'SEARCH', 'PURGE', 'LINK'].map((method) =>
      request(`${method} ${route} HTTP/1.1`, [`Host: ${host}`, 'Content-Length: 0'])
    )
  ),
  {
    id: 'S11',
    family: 'framing',
    rule: 'requests in one write are answered in order, each as whom it is from',
    expected: SERVED,
    sources: ['GHSA-35p6-xmwp-9g52 (undici)'],
    attacks(subject) {
      const own = get(subject, subject.route, bearer(subject))
      const plain = get(subject, subject.route)
      return [
        { bytes: own + plain, expected: [SERVED, NO_TOKEN], needs: 'token' },
        { bytes: plain + own, expected: [NO_TOKEN, SERVED], needs: 'token' },
        { bytes: own + plain + own, expected: [SERVED, NO_TOKEN, SERVED], needs: 'token' },
        {
          bytes: `${get(subject, subject.route, bearer(subject), smuggledLength)}${SMUGGLED}${plain}`,
          expected: [SERVED, NO_TOKEN],
          needs: 'token'
        }
      ]
    }
  },
  {
    id: 'S12',
    family: 'framing',
    rule: 'a body that is announced too large is not waited for',
    expected: refused([400, 401, 403, 413], ['token_missing', 'body_too_large']),
    sources: [],
    attacks: (subject) => [
      { bytes: post(subject, 'Content-Length: 999999999999', 'abc'), isFollowed: false },
      { bytes: post(subject, 'Expect: 100-continue\r\nContent-Length: 999999999999', ''), isFollowed: false }
    ]
  }
]
