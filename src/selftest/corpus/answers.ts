/** Family U: heads of a backend's answers. The word EVIL must never reach a client. */
import { relayed } from '../case.ts'
import { type AnswerRow, FINE_END, REFUSED } from './answer-row.ts'

const EITHER = relayed([200], { isRefusable: true })

export const ANSWER_HEADS: readonly AnswerRow[] = [
  {
    id: 'U01',
    rule: 'a malformed status line is 502',
    sources: ['RFC 9112, 2.3 and 4'],
    expected: REFUSED,
    after: `\r\n${FINE_END}`,
    cases: [
      'HTTP/1.1 20 OK',
      'HTTP/1.1 2000 OK',
      'HTTP/1.1 abc OK',
      'HTTP/1.1 099 OK',
      'HTTP/1.1 000 OK',
      'HTTP/1.1 -200 OK',
      'HTTP/1.1',
      'HTTP/1.1 ',
      'HTTP/1.1\t200 OK',
      'HTTP/1.1  200 OK',
      ' HTTP/1.1 200 OK',
      'http/1.1 200 OK',
      'HTTP/1.7 200 OK',
      'HTTP/1.10 200 OK',
      'HTTPS/1.1 200 OK',
      'ICY 200 OK',
      '200 OK',
      'HTTP/1.1 200 O\rK'
    ]
  },
  {
    id: 'U02',
    rule: 'bytes of another protocol are 502',
    sources: ['RFC 9112, 2.2'],
    expected: REFUSED,
    cases: [
      '220 mail.example ESMTP\r\n{end}',
      'SSH-2.0-OpenSSH_9.6\r\n{end}',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\x15\x03\x03\x00\x02\x02\x28{end}',
      '\0\0\0\0{end}',
      '<html>fine</html>{end}',
      '{"fine":true}\n{end}'
    ]
  },
  {
    id: 'U03',
    rule: 'an unusual but valid status line is passed on',
    sources: ['RFC 9112, 4', 'RFC 9110, 15'],
    expected: relayed([200, 299, 599]),
    after: `\r\n${FINE_END}`,
    cases: ['HTTP/1.1 200 ', 'HTTP/1.0 200 OK', 'HTTP/1.1 200 \xe4\xf6 !', 'HTTP/1.1 299 Mine', 'HTTP/1.1 599 Whatever']
  },
  {
    id: 'U04',
    rule: 'leniency that RFC 9112 allows does not change the answer',
    sources: ['RFC 9112, 2.2, 4, 5.1, 5.2 and 6.3', 'RFC 9110, 8.6'],
    expected: EITHER,
    cases: [
      `HTTP/1.1 200\r\n${FINE_END}`,
      'HTTP/1.1 200 OK\nContent-Length: 4\n\nfine',
      `HTTP/1.1 200 OK\r\nX-A : b\r\n${FINE_END}`,
      `HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\n${FINE_END}`,
      `HTTP/1.1 200 OK\r\nX-A: a\r\n\tb\r\n${FINE_END}`,
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nfine',
      'HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nfine',
      'HTTP/1.1 200 OK\r\nContent-Length: 0004\r\n\r\nfine',
      `\r\nHTTP/1.1 200 OK\r\n${FINE_END}`,
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;{a*70000}\r\nfine\r\n0\r\n\r\n',
      `HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n${FINE_END}`
    ]
  },
  {
    id: 'U05',
    rule: 'a malformed header line is 502',
    sources: ['RFC 9112, 2.2 and 5', 'RFC 9110, 5.1 and 5.5'],
    expected: REFUSED,
    before: 'HTTP/1.1 200 OK\r\n',
    after: `\r\n${FINE_END}`,
    cases: [
      'X-A: a\0b',
      'X-A: a\x07b',
      'X-A: a\x7fb',
      'X-A: a\rX-Session: EVIL',
      'X A: b',
      'X-A\t: b',
      'X-A[]: b',
      'X-\xe4: b',
      'X-A\0: b',
      ': b',
      'no colon here',
      ' X-A: b'
    ]
  },
  {
    id: 'U06',
    rule: 'a head beyond 64 KiB is 502',
    sources: ['RFC 9110, 5.4'],
    expected: REFUSED,
    before: 'HTTP/1.1 200 OK\r\n',
    after: `\r\n${FINE_END}`,
    cases: ['X-A: {a*70000}', 'X-B: b{\r\nX-A: aaaaaaaaaaaaaaaaaaaaaaaa*2500}', '{A*70000}: b']
  },
  {
    id: 'U07',
    rule: 'a Content-Length other than one number is 502',
    sources: ['RFC 9112, 6.3', 'RFC 9110, 8.6'],
    expected: REFUSED,
    before: 'HTTP/1.1 200 OK\r\nContent-Length: ',
    after: '\r\n\r\nfine',
    cases: [
      '4\r\nContent-Length: 5',
      '4, 5',
      '-4',
      '+4',
      '0x4',
      '',
      '4 4',
      '4.0',
      '4;a',
      '"4"',
      '\xb2',
      '99999999999999999999',
      '18446744073709551620'
    ]
  },
  {
    id: 'U08',
    rule: 'a Transfer-Encoding other than one "chunked" is 502, as is one beside Content-Length or in HTTP/1.0',
    sources: ['RFC 9112, 6.1 and 6.3'],
    expected: REFUSED,
    after: '\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
    cases: [
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 4',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;q=1',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: "chunked"',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked'
    ]
  }
]
