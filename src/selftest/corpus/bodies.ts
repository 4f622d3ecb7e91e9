/** Family S, continued: the end of a request's body (RFC 9112, 6 and 7; RFC 9110, 8.6). */
import { type Row, refused, served } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

const BAD_FRAMING = refused([400, 411, 501], ['bad_header', 'invalid_request'])
const IN_STEP = refused([400, 401, 403, 405, 413, 415, 501], ['token_missing', 'bad_header'])
/** Length and Transfer-Encoding on a chunked body that is followed by a smuggled request. */
const BOTH = 'Content-Length: {SMUGGLED.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}'

const bad = { before: '{POST}', expected: BAD_FRAMING }

const rows: readonly Omit<RowText, 'family'>[] = [
  {
    id: 'S21',
    rule: 'Content-Length and Transfer-Encoding together are refused (RFC 9112, 6.3)',
    sources: ['RFC 9112, 6.1 and 6.3', 'Http11Probe', 'h1spec', 'HTTP Garden'],
    ...bad,
    cases: [
      'P| Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX',
      'PG| Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'P| Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'P| Content-Length: 23\r\nTransfer-Encoding: chunked\r\n\r\nD\r\nhello-bananas\r\n0\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n0\r\n\r\nX',
      'P| Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{SMUGGLED.hex}\r\n{SMUGGLED}\r\n0\r\n\r\n',
      'S| content-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\nc\r\nHellO world1\r\n0\r\n\r\n',
      `P| ${BOTH}`,
      'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}',
      `P| ${BOTH.replace('chunked', 'Chunked')}`,
      `P| ${BOTH.replace('chunked', 'chunked ')}`,
      `P| ${BOTH.replace('chunked', ', chunked')}`,
      `P| ${BOTH.replace(': chunked', ':\tchunked')}`,
      `P| ${BOTH.replace(': chunked', ':\r\n chunked')}`,
      'P| Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\nhello',
      `P| Transfer-Encoding: identity\r\n${BOTH}`,
      `P| ${BOTH.replace(': {', ': +{')}`,
      `P| ${BOTH.replace('}', '}x')}`,
      'PG| Transfer-Encoding: ,chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
      'P| Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello',
      'P| Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n\r\nhello',
      'P| Transfer-Encoding: \r\nContent-Length: 5\r\n\r\nhello',
      'P| Transfer-Encoding: chunked;ext=val\r\nContent-Length: 5\r\n\r\nhello',
      'P| Transfer-Encoding: chunked, chunked\r\nContent-Length: 5\r\n\r\nhello',
      'P| TRANSFER-ENCODING: chunked\r\nContent-Length: 11\r\n\r\nhello world'
    ]
  },
  {
    id: 'S22',
    rule: 'Content-Length is one number in decimal digits (RFC 9110, 8.6)',
    sources: [
      'RFC 9110, 8.6',
      'CVE-2021-40346 (HAProxy)',
      'CVE-2023-40225 (HAProxy)',
      'Http11Probe',
      'h1spec',
      'HTTP Garden'
    ],
    ...bad,
    before: '{POST}Content-Length: ',
    cases: [
      '3\r\nContent-Length: 3\r\n\r\nabc',
      'PG| 5\r\nContent-Length: 10\r\n\r\nhelloworld',
      'G| 1\r\nContent-Length: 0\r\n\r\nZ',
      'G| 0\r\nContent-Length: 1\r\n\r\nZ',
      'P| 4\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'G| 0\r\ncontent-length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'G| \r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'P| 5, 10\r\n\r\nhelloworld',
      'P| 5, 5\r\n\r\nhello',
      'P| 5, 5, 5\r\n\r\nhello',
      'P| +5\r\n\r\nhello',
      'G| +1_0\r\n\r\n0123456789',
      'PS| -1\r\n\r\n',
      'G| -48\r\n\r\n',
      'S| -123456789123456789123456789\r\n\r\n',
      'P| -0\r\n\r\n',
      'PG| 0x5\r\n\r\nhello',
      'P| 0o5\r\n\r\nhello',
      'P| 1 0\r\n\r\nhello12345',
      'P| 1_0\r\n\r\nhelloworld',
      'G| 1Z\r\n\r\nZ',
      'PS| abc\r\n\r\n',
      'PG| \r\n\r\n',
      'P| 99999999999999999999\r\n\r\n',
      '18446744073709551618\r\n\r\nab',
      '3.0\r\n\r\nabc',
      '3e0\r\n\r\nabc',
      '3;a\r\n\r\nabc',
      '"3"\r\n\r\nabc',
      '\xb2\r\n\r\nab',
      '\x0b3\r\n\r\nabc',
      '3\r\n\t\r\n\r\nabc',
      'P| 11\r\nContent-Length : 5\r\n\r\nhello world',
      'G| 34\r\nContent-Length : 34\r\n\r\n{SMUGGLED}'
    ]
  },
  {
    id: 'S25',
    rule: 'leading zeros of Content-Length do not reach a server that reads an octal number',
    sources: ['RFC 9110, 8.6', 'Http11Probe', 'HTTP Garden'],
    expected: served({ orStatuses: [400] }),
    needs: 'echo',
    before: '{POST}{auth}Content-Length: ',
    cases: ['P| 005\r\n\r\nhello', 'P| 00\r\n\r\n', 'G| 010\r\n\r\n0123456789', 'P| 0200\r\n\r\n{a*200}']
  },
  {
    id: 'S23',
    rule: 'Transfer-Encoding is exactly "chunked" (RFC 9112, 6.1)',
    sources: [
      'RFC 9112, 6.1 and 7',
      'CVE-2022-32213 (Node.js)',
      'CVE-2022-32215 (Node.js)',
      'Http11Probe',
      'HTTP Garden'
    ],
    ...bad,
    before: '{POST}Transfer-Encoding',
    after: '\r\n\r\n1\r\nZ\r\n0\r\n\r\n',
    cases: [
      ': xchunked',
      'P| : gzip',
      'G| : blegh',
      ': gzip, chunked',
      ': x, chunked',
      ': identity, chunked',
      ': identity',
      'P| : chunked, gzip',
      ': chunked, identity',
      ': chunked, chunked',
      'P| : chunked,',
      'G| : ,chunked',
      'G| : chunked\r\nTransfer-Encoding: chunked',
      'P| : chunked\r\nTransfer-Encoding: identity',
      ': chunked;q=1',
      ': "chunked"',
      'P| : \x0bchunked',
      'P| : \x0cchunked',
      'P| : chunked\0',
      'G| : \xffchunked\xff',
      'P|  : chunked',
      ':\r\n chunked',
      ': '
    ]
  },
  {
    id: 'S06',
    rule: 'HTTP/1.0 has no chunks (RFC 9112, 6.1)',
    sources: ['RFC 9112, 6.1', 'Http11Probe'],
    expected: BAD_FRAMING,
    cases: [
      'POST {route} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'P| POST {route} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello',
      'GET {route} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n'
    ]
  },
  {
    id: 'S02',
    rule: 'another case of "chunked" is still chunked, and the connection stays in step',
    sources: ['RFC 9112, 7', 'Http11Probe'],
    expected: IN_STEP,
    before: '{POST}Transfer-Encoding:',
    after: '\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    cases: [' CHUNKED', ' Chunked', '\tchunked', ' chunked ', ' \t chunked']
  },
  {
    id: 'S03',
    rule: 'a framing header in another spelling does not frame',
    sources: ['CVE-2025-64484 (oauth2-proxy)', 'Http11Probe'],
    expected: IN_STEP,
    before: '{POST}',
    cases: [
      'Transfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n',
      'P| Transfer_Encoding: chunked\r\nContent-Length: 11\r\n\r\nhello world',
      'P| Content-Length: 11\r\nContent_Length: 99\r\n\r\nhello world',
      'Content_Length: 3\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'Transfer.Encoding: chunked\r\nContent-Length: 0\r\n\r\n',
      'Transfer-Encoding_: chunked\r\nContent-Length: 0\r\n\r\n'
    ]
  },
  {
    id: 'S04',
    rule: 'the body of a GET or OPTIONS is skipped, not read as a request',
    sources: ['RFC 9110, 9.3.1 and 9.3.7', 'Http11Probe', 'HTTP Garden'],
    expected: IN_STEP,
    cases: [
      'P| {GET}Content-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'P| {GET}Content-Length: 5\r\n\r\nhello',
      'G| {GET}Content-Length: 10\r\n\r\n1234567890',
      'P| {OPTIONS}Content-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'P| {GET}Content-Length: 21\r\n\r\nGET /half HTTP/1.1\r\nX',
      '{GET}Transfer-Encoding: chunked\r\n\r\n{SMUGGLED.hex}\r\n{SMUGGLED}\r\n0\r\n\r\n',
      'GET {route}/x HTTP/1.1\r\nHost: {host}\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}'
    ]
  },
  {
    id: 'S28',
    rule: 'the body of a HEAD is skipped too',
    sources: ['RFC 9110, 9.3.2', 'Http11Probe'],
    expected: IN_STEP,
    isHead: true,
    cases: ['P| {HEAD}Content-Length: 5\r\n\r\nhello', '{HEAD}Content-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}']
  },
  {
    id: 'S05',
    rule: 'Connection does not remove the framing of a body',
    sources: ['CVE-2024-45410 (Traefik)'],
    expected: IN_STEP,
    before: '{POST}Connection: ',
    cases: [
      'content-length\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'keep-alive, content-length, host\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}',
      'transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n{SMUGGLED.hex}\r\n{SMUGGLED}\r\n0\r\n\r\n',
      'keep-alive\r\nContent-Length: {SMUGGLED.length}\r\n\r\n{SMUGGLED}'
    ]
  },
  {
    id: 'S10',
    rule: 'bytes after a body are the next request, or refused',
    sources: ['RFC 9112, 9.3', 'Http11Probe', 'HTTP Garden'],
    expected: IN_STEP,
    each: [IN_STEP, refused([400], ['invalid_request'])],
    isFollowed: false,
    cases: ['P| {POST}Content-Length: 0\r\n\r\nX{end}', 'G| {CHUNKED}0\r\n\r\n\0{end}']
  },
  {
    id: 'S12',
    rule: 'a body that is announced too large is not waited for',
    sources: ['RFC 9110, 15.5.14', 'Http11Probe'],
    expected: refused([400, 401, 403, 413], ['token_missing', 'body_too_large']),
    isFollowed: false,
    before: '{POST}',
    cases: [
      'P| Content-Length: 999999999\r\n\r\n',
      'Content-Length: 999999999999\r\n\r\nabc',
      'Expect: 100-continue\r\nContent-Length: 999999999999\r\n\r\n'
    ]
  }
]

export const BODIES: readonly Row[] = rows.map((row) => toRow({ family: 'framing', ...row }))
