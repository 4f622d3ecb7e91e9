/** The fast lane recognises ordinary requests, reads each as llhttp does, and leaves every other
 *  request to the general lane. */
import { test } from 'tap'
import { MAX_HEAD_BYTES, type NotOrdinary, type OrdinaryHead, Recogniser } from '../../src/fast-lane/recogniser.ts'
import { casesFor, createSample } from '../../src/selftest/corpus.ts'
import { differenceFromLlhttp } from '../support/request-reading.ts'

const recogniser = new Recogniser()
const GET = 'GET /a HTTP/1.1\r\n'
const HOST = 'Host: gateway.example\r\n'

function recognise(text: string): OrdinaryHead | NotOrdinary {
  const bytes = Buffer.from(text, 'latin1')
  return recogniser.recognise(bytes, 0, bytes.length)
}

/** A field line in an ordinary request. */
const withField = (line: string) => `${GET}${HOST}${line}\r\n\r\n`

const ORDINARY: readonly string[] = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map(
    (method) => `${method} / HTTP/1.1\r\n${HOST}\r\n`
  ),
  `${GET}\r\n`,
  `GET /a/b%2f;c?d=e&f=[g]^|{h}"<i>\`\\~ HTTP/1.1\r\n${HOST}\r\n`,
  `GET //x/../y?? HTTP/1.1\r\n${HOST}\r\n`,
  `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`,
  withField('Content-Length: 0'),
  withField('CONTENT-LENGTH:\t 000000000000005 '),
  withField('Content-Length: 999999999999999'),
  withField('Connection: keep-alive'),
  withField('connection:Keep-Alive  '),
  withField('Connection: CLOSE'),
  withField('X-Empty:'),
  withField('X-Blank: \t \t'),
  withField('X-A:\t a \tb\t \t'),
  withField('X-A: \x80\xff\xa0\x85'),
  withField("!#$%&'*+-.^_`|~9: a"),
  withField('Transfer_Encoding: chunked\r\nUpgrades: a\r\nExpected: a\r\nX-Upgrade: a\r\nContent-Lengthy: a'),
  withField('Cookie: a=b\r\nCookie: c=d\r\nHost: other.example'),
  withField('TE: trailers\r\nTrailer: X-T\r\nKeep-Alive: timeout=5\r\nHTTP2-Settings: a'),
  withField('A: b\r\n'.repeat(500).slice(0, -2))
]

test('an ordinary request is recognised as llhttp reads it', (t) => {
  for (const text of ORDINARY) {
    const head = recognise(text)
    t.type(head, 'object', JSON.stringify(text.slice(0, 100)))
    if (typeof head === 'object') t.equal(differenceFromLlhttp(head, Buffer.from(text, 'latin1'), 0), null)
  }
  t.end()
})

test('names are kept as sent, values as bytes without blanks around them, in order and repeated', (t) => {
  const text = `POST /a?b HTTP/1.1\r\nhOST: h\r\nX-B:\t \xe6\x8a\xa5 \tc\t \r\nX-Empty: \r\nX-B: d\r\nContent-Length: 12\r\nConnection: Close\r\n\r\n`
  t.same(recognise(`${text}body`), {
    method: 'POST',
    url: '/a?b',
    httpVersion: '1.1',
    rawHeaders: [
      'hOST',
      'h',
      'X-B',
      '\xe6\x8a\xa5 \tc',
      'X-Empty',
      '',
      'X-B',
      'd',
      'Content-Length',
      '12',
      'Connection',
      'Close'
    ],
    bodyStart: text.length,
    contentLength: 12,
    isLast: true
  })
  t.match(recognise(`${GET}\r\n`), { rawHeaders: [], contentLength: 0, isLast: false })
  t.end()
})

const OTHERS: Readonly<Record<NotOrdinary, readonly string[]>> = {
  incomplete: ['', 'G', 'GET', 'OPTIONS', 'GET ', 'GET /', GET, `${GET}${HOST}`, `${GET}${HOST}\r`],
  method: [
    '\r\n',
    ' ',
    'get / ',
    'GETS',
    'CONNECT a:1 ',
    'TRACE / ',
    'PROPFIND',
    'QUERY / ',
    'GET\t/ ',
    'PRI * ',
    '\x16\x03\x01',
    '\0'
  ],
  target: [
    'GET  ',
    'GET *',
    'OPTIONS * ',
    'GET http://a/',
    'GET a',
    'GET /#',
    'GET /a\t',
    'GET /\x7f',
    'GET /\x80',
    'GET /\0',
    'GET /a\r\n',
    'GET /a\n'
  ],
  version: [
    'GET /a  ',
    'GET /a HTTP/1.0\r\n',
    'GET /a HTTP/2.0',
    'GET /a http/1.1',
    'GET /a HTTP/1.1 \r\n',
    'GET /a HTTP/1.1\n',
    'GET /a HTTP/1.1\r\r\n',
    'GET /a HTTP/1.11',
    'GET /a b HTTP/1.1\r\n'
  ],
  field: [
    ' A: b',
    'A : b',
    'A\t: b',
    'A: b\r\n c',
    'A: b\r\n\tc',
    ': b',
    'A',
    'A: b\nC: d',
    'A: b\rC: d',
    'A: \0',
    'A: \x7f',
    'A: \x0b',
    'A\x80: b',
    'A(: b',
    'A: b\r\n\rC: d'
  ].map(withField),
  framing: [
    'Content-Length:',
    'Content-Length: 5, 5',
    'Content-Length: +5',
    'Content-Length: -0',
    'Content-Length: 0x5',
    'Content-Length: 5\t',
    'Content-Length: 5 \t ',
    'Content-Length: 1000000000000000',
    'Content-Length: 5\r\nContent-Length: 5',
    'content-length: 5\r\nX: a\r\nCONTENT-LENGTH: 6',
    'Transfer-Encoding: chunked',
    'transfer-encoding:',
    'Transfer-Encoding: identity\r\nContent-Length: 5'
  ].map(withField),
  connection: [
    'Connection:',
    'Connection: upgrade',
    'Connection: keep-alive, close',
    'Connection: close,',
    'Connection: close\t',
    'Connection: x-a',
    'Connection: content-length\r\nContent-Length: 5',
    'Connection: close\r\nConnection: close',
    'Connection: keep-alive\r\nconnection: close',
    'Proxy-Connection: keep-alive'
  ].map(withField),
  upgrade: ['Upgrade: websocket', 'UPGRADE:', 'Upgrade: h2c\r\nConnection: upgrade'].map(withField),
  expect: ['Expect: 100-continue', 'expect:'].map(withField)
}

test('every other request is left to the general lane, with the reason', (t) => {
  for (const [reason, texts] of Object.entries(OTHERS)) {
    for (const text of texts) t.equal(recognise(text), reason, JSON.stringify(text))
  }
  t.end()
})

test('a head is recognised only when all its bytes are there, and alike wherever it lies', (t) => {
  const texts = [...ORDINARY, ...Object.values(OTHERS).flat()].filter((text) => text.length < 2_000)
  for (const text of texts) {
    const whole = recognise(text)
    const before = 'GET /before HTTP/1.1\r\n\r\n'
    const bytes = Buffer.from(`${before}${text}GET /after HTTP/1.1\r\n\r\n`, 'latin1')
    const end = before.length + text.length
    const there = recogniser.recognise(bytes, before.length, end)
    t.same(there, typeof whole === 'string' ? whole : { ...whole, bodyStart: whole.bodyStart + before.length })
    for (let cut = 0; cut < text.length; cut++) {
      const part = recogniser.recognise(bytes, before.length, before.length + cut)
      if (typeof part !== 'string') t.equal(part, 'incomplete', `${JSON.stringify(text)} cut at ${cut}`)
      else if (part !== whole && part !== 'incomplete') t.equal(part, whole, `${JSON.stringify(text)} cut at ${cut}`)
    }
  }
  t.end()
})

test('a head longer than the limit counts as incomplete', (t) => {
  const start = `${GET}A: `
  const fill = (length: number) => `${start}${'b'.repeat(length - start.length - 4)}\r\n\r\n`
  t.match(recognise(`${fill(MAX_HEAD_BYTES)}body`), { bodyStart: MAX_HEAD_BYTES })
  t.equal(recognise(`${fill(MAX_HEAD_BYTES + 1)}body`), 'incomplete')
  t.equal(recognise(`GET /${'a'.repeat(MAX_HEAD_BYTES)}`), 'incomplete')
  t.end()
})

test('the strings of a head do not change with the bytes that they were read from', (t) => {
  const bytes = Buffer.from(withField(`X-A: ${'a'.repeat(100)}`))
  const head = recogniser.recognise(bytes, 0, bytes.length)
  bytes.fill(0x2a)
  t.match(head, { url: '/a', rawHeaders: ['Host', 'gateway.example', 'X-A', 'a'.repeat(100)] })
  t.end()
})

/** The results for the cases of each framing row. The answer of the general lane decides about a
 *  request that is not ordinary, and admission about one that is. */
const FRAMING_ROWS: Readonly<Record<string, string>> = {
  S02: 'framing',
  S03: 'ordinary',
  S04: 'framing ordinary',
  S05: 'connection ordinary',
  S06: 'version',
  S07: 'method target version',
  S08: 'method',
  S09: 'method',
  S10: 'framing ordinary',
  S11: 'ordinary',
  S12: 'expect ordinary',
  S13: 'method target version',
  S14: 'method',
  S15: 'field target version',
  S16: 'incomplete method',
  S17: 'method',
  S18: 'ordinary',
  S19: 'ordinary version',
  S20: 'expect ordinary',
  S21: 'field framing',
  S22: 'field framing',
  S23: 'field framing',
  S24: 'framing',
  S25: 'ordinary',
  S26: 'framing',
  S27: 'framing',
  S28: 'ordinary',
  S29: 'connection expect framing ordinary',
  S30: 'framing ordinary',
  S31: 'version',
  S32: 'target version'
}

test('each request of the corpus is read as llhttp reads it, or left to the general lane', (t) => {
  const results = new Map<string, Set<string>>()
  for (const { id, row, bytes: text } of casesFor(createSample())) {
    const bytes = Buffer.from(text.replaceAll('{pause}', '').replace('{end}', ''), 'latin1')
    const head = recogniser.recognise(bytes, 0, bytes.length)
    if (typeof head === 'object') t.equal(differenceFromLlhttp(head, bytes, 0), null, id)
    const found = results.get(row.id) ?? new Set()
    if (row.family === 'framing') results.set(row.id, found.add(typeof head === 'string' ? head : 'ordinary'))
  }
  t.same(Object.fromEntries([...results].map(([id, found]) => [id, [...found].sort().join(' ')])), FRAMING_ROWS)
  t.end()
})
