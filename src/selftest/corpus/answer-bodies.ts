/** Family U, continued: bodies, interim answers and headers of a backend. The word EVIL must
 *  never reach a client. */
import { relayed } from '../case.ts'
import { type AnswerRow, FINE_END, REFUSED } from './answer-row.ts'

const FINE = relayed([200])
/** The head may have been passed on before the fault appears. Its body must not get an end. */
const CUT = relayed([], { isRefusable: true, isBreakable: true })
const SECOND = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Second: EVIL\r\n\r\nEVIL'
const EARLY = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'

export const ANSWER_BODIES: readonly AnswerRow[] = [
  {
    id: 'U09',
    rule: 'a malformed chunk never ends as a whole body',
    sources: ['RFC 9112, 7.1'],
    expected: CUT,
    before: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
    cases: [
      '0x4\r\nfine\r\n0\r\n\r\n',
      '-4\r\nfine\r\n0\r\n\r\n',
      '+4\r\nfine\r\n0\r\n\r\n',
      ' 4\r\nfine\r\n0\r\n\r\n',
      '4 \r\nfine\r\n0\r\n\r\n',
      '0_4\r\nfine\r\n0\r\n\r\n',
      'zz\r\nfine\r\n0\r\n\r\n',
      '\r\nfine\r\n0\r\n\r\n',
      'FFFFFFFFFFFFFFFF4\r\nfine\r\n0\r\n\r\n',
      '4\nfine\n0\n\n',
      '4\rfine\r\n0\r\n\r\n',
      '4\r\nfineX\r\n0\r\n\r\n',
      '4\r\nfine0\r\n\r\n',
      '4;a\nfine\r\n0\r\n\r\n',
      '4;\0\r\nfine\r\n0\r\n\r\n',
      '4\r\nfine\r\n0\r\nbad trailer\r\n\r\n',
      '4\r\nfine\r\n0\r\nX-A: {a*70000}\r\n\r\n',
      '2\r\nfi\r\nzz\r\nne\r\n0\r\n\r\n'
    ]
  },
  {
    id: 'U10',
    rule: 'an answer that breaks off never looks complete',
    sources: ['RFC 9112, 8'],
    expected: CUT,
    cases: [
      '{end}',
      'HTTP/1.1 200 OK{end}',
      'HTTP/1.1 200 OK\r\nContent-Le{end}',
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n{end}',
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfine{end}',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n{end}',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfi{end}',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n{end}',
      `${EARLY}{end}`
    ]
  },
  {
    id: 'U11',
    rule: 'bytes beyond an answer reach no client',
    sources: ['RFC 9112, 6.3 and 9.2'],
    expected: FINE,
    cases: [
      `HTTP/1.1 200 OK\r\n${FINE_END}${SECOND}`,
      `HTTP/1.1 200 OK\r\n${FINE_END}EVIL`,
      `HTTP/1.1 200 OK\r\n${FINE_END}\r\n\r\n${SECOND}`,
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n${SECOND}`
    ]
  },
  {
    id: 'U12',
    rule: 'a status without a body has none, whatever follows it',
    sources: ['RFC 9110, 8.6, 15.3.5 and 15.4.5'],
    expected: relayed([204, 304], { body: '' }),
    cases: [
      'HTTP/1.1 204 No Content\r\n\r\n',
      `HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n${SECOND}`,
      `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${SECOND}`,
      `HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n${SECOND}`,
      'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 1234\r\n\r\n'
    ]
  },
  {
    id: 'U13',
    rule: 'interim answers are skipped',
    sources: ['RFC 9110, 15.2'],
    expected: FINE,
    after: `HTTP/1.1 200 OK\r\n${FINE_END}`,
    cases: ['HTTP/1.1 102 Processing\r\n\r\n', EARLY, 'HTTP/1.1 199 Mine\r\nX-A: b\r\n\r\n', `{${EARLY}*2000}`]
  },
  {
    id: 'U14',
    rule: 'a switch of protocols that was not asked for is 502',
    sources: ['RFC 9110, 7.8 and 15.2.2'],
    expected: REFUSED,
    cases: [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nEVIL',
      'HTTP/1.1 101 Switching Protocols\r\n\r\n'
    ]
  },
  {
    id: 'U15',
    rule: 'hop-by-hop, nominated and identity headers of a backend end at the gateway',
    sources: ['RFC 9110, 7.6.1'],
    expected: FINE,
    before: 'HTTP/1.1 200 OK\r\n',
    after: `\r\n${FINE_END}`,
    cases: [
      'Keep-Alive: timeout=EVIL',
      'Proxy-Authenticate: EVIL',
      'Proxy-Connection: EVIL',
      'TE: EVIL',
      'Trailer: EVIL',
      'Upgrade: EVIL',
      'Connection: X-Hop\r\nX-Hop: EVIL',
      'X-Hop: EVIL\r\nConnection: keep-alive, x-hop, content-length',
      'X-OpenId: EVIL\r\nX-UnionId: EVIL\r\nX-AppId: EVIL\r\nX-User-Id: EVIL\r\nX-Session-Id: EVIL',
      'x_openid: EVIL\r\nX.User.Id: EVIL\r\nX-WX-OPENID: EVIL\r\nX-Session-Key: EVIL'
    ]
  },
  {
    id: 'U16',
    rule: 'a trailer of a backend is not a header',
    sources: ['RFC 9110, 6.5.1'],
    expected: FINE,
    before: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n',
    cases: ['X-OpenId: EVIL\r\n\r\n', 'Set-Cookie: EVIL=1\r\n\r\n']
  },
  {
    id: 'U17',
    rule: 'a lawful body is passed on completely',
    sources: ['RFC 9112, 6.3 and 7.1'],
    expected: FINE,
    cases: [
      'HTTP/1.1 200 OK\r\n\r\nfine{end}',
      'HTTP/1.0 200 OK\r\n\r\nfine{end}',
      'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfine{end}',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0002;a=b;c="d e"\r\nfi\r\n2\r\nne\r\n000\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfi{pause}ne\r{pause}\n0\r\n\r\n',
      `HTTP/1.1 200 OK\r\nContent-Encoding: {gzip,*999}gzip\r\n${FINE_END}`,
      `HTTP/1.1 200 OK\r\n{X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*900}${FINE_END}`,
      'HTTP/1.1 20{pause}0 OK\r\nContent-Le{pause}ngth: 4\r\n\r{pause}\nfine'
    ]
  },
  {
    id: 'U18',
    rule: 'header values are bytes, in any order and alphabet (RFC 9110, 5.5)',
    sources: ['RFC 9110, 5.3 and 5.5'],
    expected: relayed([200], {
      keeps: [
        'content-disposition: attachment; filename="\xe6\x8a\xa5\xe8\xa1\xa8.xlsx"',
        'x-empty: ',
        'set-cookie: b=2'
      ]
    }),
    before: 'HTTP/1.1 200 OK\r\n',
    after: '\r\nX-Empty:\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nfine',
    cases: [
      'Content-Length: 4\r\nContent-Disposition: attachment; filename="\xe6\x8a\xa5\xe8\xa1\xa8.xlsx"',
      'Content-Disposition: attachment; filename="\xe6\x8a\xa5\xe8\xa1\xa8.xlsx"\r\nContent-Length: 4',
      'Trailer: X-A\r\nContent-Length: 4\r\nContent-Disposition: attachment; filename="\xe6\x8a\xa5\xe8\xa1\xa8.xlsx"'
    ]
  }
]
