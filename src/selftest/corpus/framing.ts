/** Family S: request lines, versions, methods and pipelines (RFC 9112, 2, 3 and 9). */
import { NO_TOKEN, type Row, refused, SERVED } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

/** A malformed request line. 405 and 501 answer an unknown method, 505 an unknown version. */
const NO_REQUEST = refused([400, 405, 414, 431, 501, 505], ['invalid_request', 'bad_header', 'bad_path'])
const NO_METHOD = refused(
  [400, 401, 403, 404, 405, 501],
  ['method_not_allowed', 'token_missing', 'invalid_request', 'bad_path']
)
const ENDED = refused([401, 403], ['token_missing'], { mayClose: false, mustClose: true })
const HOST = '\r\nHost: {host}\r\n\r\n'
/** A request split at the places where h1spec splits it. */
const PIECES = ['G', 'ET ', '{route}', ' ', 'HTTP', '/1.1', '\r', '\n', 'Hos', 't:', ' ', '{host}', '\r', '\n', '\r']

const rows: readonly Omit<RowText, 'family'>[] = [
  {
    id: 'S07',
    rule: 'a version other than HTTP/1.0 and HTTP/1.1 is refused',
    sources: ['RFC 9112, 2.3', 'Http11Probe', 'h1spec', 'HTTP Garden'],
    expected: NO_REQUEST,
    cases: [
      'P| GET {route}\r\n',
      'GET {route}\r\n\r\n',
      'S| GET {route} \r\n\r\n',
      `PS| GET {route} HTTP/9.9${HOST}`,
      `P| GET {route} HTTP/1.2${HOST}`,
      `P| GET {route} HTTP/1${HOST}`,
      `P| GET {route} HTTP/01.01${HOST}`,
      `P| GET {route} HTTP/ 1.1${HOST}`,
      `P| GET {route} http/1.1${HOST}`,
      `G| GET {route} HTTP/1.32${HOST}`,
      `G| GET {route} HTTP/\r\r1.1${HOST}`,
      `G| GET {route} HTTP/4294967295.255${HOST}`,
      `GET {route} HTTP/2.0${HOST}`,
      `GET {route} HTTP/0.9${HOST}`,
      `GET {route} HTTP/1.10${HOST}`,
      `GET {route} HTTPS/1.1${HOST}`,
      'P| PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
    ]
  },
  {
    id: 'S13',
    rule: 'a request line is three parts with one space between them',
    sources: ['RFC 9112, 3', 'Http11Probe', 'h1spec', 'HTTP Garden'],
    expected: NO_REQUEST,
    cases: [
      `P| GET\t{route} HTTP/1.1${HOST}`,
      `GET {route}\tHTTP/1.1${HOST}`,
      `GET {route} HTTP/1.1 ${HOST}`,
      ` GET {route} HTTP/1.1${HOST}`,
      `P| GET HTTP/1.1${HOST}`,
      `GET${HOST}`,
      `P| GET {route} x HTTP/1.1${HOST}`,
      `P| GET {route}\0 HTTP/1.1${HOST}`,
      `S| Extra lineGET {route} HTTP/1.1${HOST}`
    ]
  },
  {
    id: 'S32',
    rule: 'several spaces in a request line are one, or refused',
    sources: ['RFC 9112, 3', 'Http11Probe'],
    expected: refused([400, 401, 403], ['token_missing', 'invalid_request']),
    cases: [`P| GET  {route} HTTP/1.1${HOST}`, `GET {route}  HTTP/1.1${HOST}`]
  },
  {
    id: 'S14',
    rule: 'a method is a known one, in upper case (RFC 9110, 9.1)',
    sources: ['RFC 9110, 9.1', 'Http11Probe', 'HTTP Garden'],
    expected: NO_REQUEST,
    cases: [
      `P| get {route} HTTP/1.1${HOST}`,
      `P| FOOBAR {route} HTTP/1.1${HOST}`,
      `G3T {route} HTTP/1.1${HOST}`,
      `GE\0T {route} HTTP/1.1${HOST}`,
      `G| G=":<>(e),[T];?" {route} HTTP/1.1${HOST}`,
      'G| \0 {route} HTTP/............0596.7407.\r\n\r\n',
      `P| {A*100000} {route} HTTP/1.1${HOST}`
    ]
  },
  {
    id: 'S15',
    rule: 'a line ends in CR LF (RFC 9112, 2.2)',
    sources: ['RFC 9112, 2.2', 'Http11Probe', 'HTTP Garden'],
    expected: NO_REQUEST,
    cases: [
      'P| GET {route} HTTP/1.1\nHost: {host}\r\n\r\n',
      'P| GET {route} HTTP/1.1\r\nHost: {host}\nX-A: b\r\n\r\n',
      'G| GET {route} HTTP/1.1\nHost: {host}\n\n',
      'GET {route} HTTP/1.1\r\nHost: {host}\n\n',
      'GET {route} HTTP/1.1\r\nHost: {host}\n\r\n',
      'P| GET {route} HTTP/1.1\rHost: {host}\r\n\r\n',
      'GET {route} HTTP/1.1\rHost: {host}\r\r',
      'G| GET {route}\nHTTP/1.1\r\nHost: {host}\r\n\r\n'
    ]
  },
  {
    id: 'S16',
    rule: 'bytes of another protocol are refused',
    sources: ['RFC 9112, 2.2', 'Http11Probe'],
    expected: NO_REQUEST,
    cases: [
      '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n',
      'SSH-2.0-OpenSSH_9.6\r\n',
      '\0\0\0\0',
      '{"json":true}\r\n\r\n',
      'P| {\xf7\x81\x1b\x93\x00\xc4\xfe\x02*32}{end}',
      'P|    \r\n\r\n',
      'P| {end}',
      'P| {GET}X-Test: value{end}'
    ]
  },
  {
    id: 'S17',
    rule: 'an empty line before a request is skipped (RFC 9112, 2.2)',
    sources: ['RFC 9112, 2.2', 'Http11Probe'],
    expected: refused([400, 401, 403], ['token_missing', 'invalid_request']),
    cases: ['\r\n{GET}\r\n', 'P| \r\n\r\n{GET}\r\n']
  },
  {
    id: 'S18',
    rule: 'a request is answered when it is complete, wherever it is cut',
    sources: ['RFC 9112, 2.2', 'h1spec'],
    expected: NO_TOKEN,
    cases: PIECES.map((_, at) => `S| ${PIECES.slice(0, at + 1).join('')}{pause}${PIECES.slice(at + 1).join('')}\n`)
  },
  {
    id: 'S08',
    rule: 'the gateway is not a tunnel',
    sources: ['RFC 9110, 9.3.6', 'Http11Probe'],
    expected: NO_METHOD,
    cases: [
      'P| CONNECT evil.invalid:443 HTTP/1.1\r\nHost: evil.invalid:443\r\n\r\n',
      'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n',
      'CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n',
      `CONNECT {route} HTTP/1.1${HOST}`
    ]
  },
  {
    id: 'S09',
    rule: 'TRACE is refused: its answer would hold the credential',
    sources: ['RFC 9110, 9.3.8', 'Http11Probe'],
    expected: refused([400, 401, 403, 405, 501], ['method_not_allowed', 'invalid_request']),
    cases: [
      'P| {TRACE}\r\n',
      'P| {TRACE}Authorization: Bearer x\r\n\r\n',
      'P| {TRACE}Content-Length: 5\r\n\r\nhello',
      `TRACE * HTTP/1.1${HOST}`
    ]
  },
  {
    id: 'S19',
    rule: 'a connection ends when the client asks for it (RFC 9112, 9.3 and 9.6)',
    sources: ['RFC 9112, 9.3 and 9.6', 'Http11Probe', 'HTTP Garden'],
    expected: ENDED,
    cases: [
      'P| {GET}Connection: close\r\n\r\n',
      'P| GET {route} HTTP/1.0\r\nHost: {host}\r\n\r\n',
      'P| GET {route} HTTP/1.0\r\n\r\n',
      'G| {GET}Connection: close\r\n\r\nInvalid\r\n\r\n'
    ]
  },
  {
    id: 'S20',
    rule: 'the plain request with a token is served',
    sources: ['RFC 9112, 9.3', 'Http11Probe', 'h1spec'],
    expected: SERVED,
    needs: 'token',
    cases: ['PS| {GET}{auth}\r\n', 'S| {GET}{auth}Expect: 100-continue\r\n\r\n']
  }
]

/** Requests in one write: each is answered as its own sender. */
const pipeline: Row = {
  id: 'S11',
  family: 'framing',
  rule: 'requests in one write are answered in order, each for its own token',
  expected: SERVED,
  sources: ['RFC 9112, 9.3.2', 'GHSA-35p6-xmwp-9g52 (undici)', 'Http11Probe', 'HTTP Garden'],
  attacks(subject) {
    const rest = { needs: 'token', family: 'framing', expected: SERVED } as const
    const of = (cases: string[], expected: (typeof SERVED | typeof NO_TOKEN)[]) =>
      toRow({ id: '', rule: '', ...rest, cases })
        .attacks(subject)
        .map((attack) => ({ ...attack, expected }))
    const own = '{GET}{auth}\r\n'
    const plain = '{GET}\r\n'
    return [
      ...of([`P| ${own}${own}`], [SERVED, SERVED]),
      ...of(
        [own + plain, `{GET}{auth}Content-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}${plain}`],
        [SERVED, NO_TOKEN]
      ),
      ...of([plain + own], [NO_TOKEN, SERVED]),
      ...of([own + plain + own], [SERVED, NO_TOKEN, SERVED]),
      ...of(
        [
          'P| {POST}Content-Length: 0\r\n\r\n{GET}\r\n',
          `G| {POST}Content-Length: 0\r\n\r\n{POST}Content-Length: 5\r\n\r\nhello`
        ],
        [NO_TOKEN, NO_TOKEN]
      )
    ]
  }
}

export const FRAMING: readonly Row[] = [...rows.map((row) => toRow({ family: 'framing', ...row })), pipeline]
