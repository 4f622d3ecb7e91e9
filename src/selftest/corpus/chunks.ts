/** Family S, continued: chunks, trailers and bodies as they arrive (RFC 9112, 7 and 8). */
import { HIDDEN, NO_TOKEN, type Row, refused, served } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

/** The head is valid, the body is not. Either may be refused first, and the connection must end. */
const BAD_BODY = refused([400, 401, 403, 413, 415, 431], ['bad_header', 'invalid_request', 'token_missing'], {
  mustClose: true
})
const HELLO = served({ echoes: 'hello' })

const rows: readonly Omit<RowText, 'family'>[] = [
  {
    id: 'S24',
    rule: 'a malformed chunk ends the connection (RFC 9112, 7.1)',
    sources: ['RFC 9112, 7.1', 'CVE-2025-55315 (ASP.NET Core)', 'Http11Probe', 'HTTP Garden'],
    expected: BAD_BODY,
    before: '{CHUNKED}',
    cases: [
      'P| 0x3\r\nabc\r\n0\r\n\r\n',
      'G| -0x0\r\n\r\n',
      'P| -1\r\nhello\r\n0\r\n\r\n',
      'P| +5\r\nhello\r\n0\r\n\r\n',
      'P| +0\r\n\r\n{SMUGGLED}',
      'P|  5\r\nhello\r\n0\r\n\r\n',
      'G|            0\r\n\r\n',
      'P| 5 \r\nhello\r\n0\r\n\r\n',
      'P| 1_0\r\nhello world!!!!!\r\n0\r\n\r\n',
      'G| 0_2e\r\n\r\n{SMUGGLED}0\r\n\r\n',
      'P| FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n',
      'zz\r\nab\r\n0\r\n\r\n',
      'G| 1these-bytes-are-not-read\r\nZ\r\n0\r\n\r\n',
      'G| INVALID!!!\r\n{SMUGGLED}',
      'G| Z\r\nZZ\r\nZZZ\r\n\r\n',
      'G| \r\n\r\n',
      '\r\n{SMUGGLED}',
      'G| 17\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\n\r\n0\r\n\r\n',
      'P| 5\r\nhello!!\r\n0\r\n\r\n',
      'P| 5\r\nhello0\r\n\r\n',
      'P| 5\rhello\r\n0\r\n\r\n',
      'P| 5\r\nhello\n0\r\n\r\n',
      'G| a\r\n0123456789\n0\r\n\r\n',
      'P| 5\r\nhello\r\n0\r\n\n',
      'G| 1\r0\n',
      '3\nabc\n0\n\n',
      'P| 5;\nhello\r\n0\r\n\r\n',
      '2;a=b\nxx\r\nab\r\n0\r\n\r\n',
      'P| 5;a\rX\r\nhello\r\n0\r\n\r\n',
      'G| 2\r\r;a\r\n02\r\n41\r\n0\r\n\r\n{SMUGGLED}',
      'G| 5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n{SMUGGLED}',
      'G| 41;a=b\r\r{X*65}\r\n0\r\n\r\n{SMUGGLED}',
      'P| 5;\0\r\nhello\r\n0\r\n\r\n',
      'P| 5;bad[=x\r\nhello\r\n0\r\n\r\n',
      'P| 5;\r\nhello\r\n0\r\n\r\n',
      'P| 5;a={a*65536}\r\nhello\r\n0\r\n\r\n',
      '3;{a*20000}\r\nabc\r\n0\r\n\r\n',
      '2\r\nxx\r\n0\r\nbad trailer\r\n\r\n'
    ]
  },
  {
    id: 'S26',
    rule: 'a trailer does not frame (RFC 9110, 6.5.1)',
    sources: ['RFC 9110, 6.5.1', 'Http11Probe'],
    expected: refused([400, 401, 403], ['bad_header', 'invalid_request', 'token_missing']),
    before: '{CHUNKED}5\r\nhello\r\n0\r\n',
    cases: ['P| Content-Length: 50\r\n\r\n', 'P| Transfer-Encoding: chunked\r\n\r\n', 'P| Host: evil.invalid\r\n\r\n']
  },
  {
    id: 'S27',
    rule: 'a body that breaks off does not count as complete',
    sources: ['RFC 9112, 8', 'Http11Probe'],
    expected: refused([400, 401, 403, 408, 413], ['token_missing', 'invalid_request', 'request_timeout']),
    cases: ['P| {CHUNKED}5\r\nhello\r\n{end}', '{CHUNKED}5\r\nhe{end}']
  },
  {
    id: 'S29',
    rule: 'a body arrives as it was sent (RFC 9112, 6 and 7.1)',
    sources: ['RFC 9112, 6.2, 6.3 and 7.1', 'RFC 9110, 8.6, 10.1.1 and 14.2', 'Http11Probe', 'h1spec'],
    expected: HELLO,
    needs: 'echo',
    before: '{POST}{auth}',
    cases: [
      'PS| Content-Length: 5\r\n\r\nhello',
      'P| Content-Length:\t5\r\n\r\nhello',
      'P| Content-Length: 5 \r\n\r\nhello',
      'P| Content-Length:  5\r\n\r\nhello',
      'P| Content-Length: 5\r\nRange: bytes=0-10\r\n\r\nhello',
      'P| Content-Length: 5\r\nContent-Type: application/x-nonsense\r\n\r\nhello',
      'P| Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello',
      'Content-Length: 5\r\nConnection: content-length\r\n\r\nhello',
      'Content-Length: 5\r\n\r\nhe{pause}llo',
      'P| Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\n\r\nA\r\nhelloworld\r\n0\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\n\r\n5;ext=value;q="a b"\r\nhello\r\n000;x\r\n\r\n',
      'P| Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Checksum: abc\r\n\r\n',
      'S| Transfer-Encoding: chunked\r\n\r\nc\r\nhello world1\r\n0\r\n\r\n',
      'Transfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhe{pause}llo\r\n0\r{pause}\n\r\n'
    ]
  },
  {
    id: 'S30',
    rule: 'an empty body is served (RFC 9112, 6.3)',
    sources: ['RFC 9112, 6.3', 'Http11Probe'],
    expected: HIDDEN,
    needs: 'echo',
    before: '{POST}{auth}',
    cases: [
      'P| Content-Length: 0\r\n\r\n',
      'P| \r\n',
      'P| Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'G| Transfer-Encoding: chunked\r\n\r\n0\r\nX:POST / HTTP/1.1\r\n\r\n',
      'Transfer-Encoding: chunked\r\n\r\n000\r\n\r\n'
    ]
  },
  {
    id: 'S31',
    rule: 'HTTP/1.0 gets no interim answer (RFC 9110, 15.2)',
    sources: ['RFC 9110, 15.2', 'Http11Probe'],
    expected: NO_TOKEN,
    cases: ['P| POST {route} HTTP/1.0\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello']
  }
]

export const CHUNKS: readonly Row[] = rows.map((row) => toRow({ family: 'framing', ...row }))
