/** Responses of an upstream are read strictly (RFC 9112), and never more leniently than by
 *  llhttp. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { ANSWER_BODIES } from '../../src/selftest/corpus/answer-bodies.ts'
import type { AnswerRow } from '../../src/selftest/corpus/answer-row.ts'
import { ANSWER_HEADS } from '../../src/selftest/corpus/answers.ts'
import { ResponseParser } from '../../src/upstream/connection/response-parser.ts'
import { readWithLlhttp } from '../support/llhttp.ts'
import { differenceOf, type OwnReading, type ReadingOptions, readText } from '../support/response-reading.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`
const LAST = '0\r\n\r\n'
/** Longer texts are cut at the places below, and after each byte, but not at each byte in turn. */
const MANY_BYTES = 2_000

interface Answer {
  readonly text: string
  readonly options: ReadingOptions
}

const corpus = [...ANSWER_HEADS, ...ANSWER_BODIES].flatMap((row) =>
  (row.cases as readonly string[]).map((entry) => ({ row, ...answerOf(row, entry) }))
)

function answerOf({ before = '', after = '' }: AnswerRow, entry: string): Answer {
  const text = (before + entry + after)
    .replace(/\{([^{}]+)\*(\d+)\}/g, (_whole, piece: string, count: string) => piece.repeat(Number(count)))
    .replaceAll('{pause}', '')
  return { text: text.replace('{end}', ''), options: { staysOpen: !text.includes('{end}') } }
}

/** Without the code: an incomplete line shows its fault late. */
function eventsOf({ heads, body, end, isReusable }: OwnReading) {
  return { heads, body, end, isReusable }
}

function cutsOf(length: number): number[][] {
  const each = Array.from({ length: Math.max(0, length - 1) }, (_, index) => index + 1)
  const single = length > MANY_BYTES ? [1, 8, 12, 17, 1_023, 1_024, length - 1] : each
  return [...single.map((cut) => [cut]), each]
}

test('the answers of the self-test are passed on or refused as their rule says', (t) => {
  for (const { row, text, options } of corpus) {
    const { end, heads, body, offset } = readText(text, options)
    const { statuses, isRefusable } = row.expected
    const name = `${row.id} ${JSON.stringify(text.slice(0, 100))}`
    if (end === 'complete') {
      t.ok(statuses.includes(heads.at(-1)?.status ?? 0), name)
      t.equal(body, row.expected.body, name)
    } else {
      t.equal(end, 'fault', name)
      t.ok(isRefusable, name)
      t.ok(offset <= text.length)
    }
  }
  t.end()
})

test('what the gateway reads of the answers of the self-test, llhttp reads too', (t) => {
  for (const { row, text } of corpus) {
    const own = readText(text)
    const reference = readWithLlhttp(Buffer.from(text, 'latin1'), 'GET', false)
    t.equal(differenceOf(own, reference), null, `${row.id} ${JSON.stringify(text.slice(0, 100))}`)
  }
  t.end()
})

const ACCEPTED: readonly (readonly [text: string, expected: Partial<OwnReading>, options?: ReadingOptions])[] = [
  [`${OK}Content-Length: 0\r\n\r\n`, { body: '', isReusable: true }],
  ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', { body: 'ok', isReusable: true }],
  ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', { isReusable: true }],
  [`${OK}Content-Length:\t 2 \r\nconnection: Keep-Alive, Close\r\n\r\nok`, { body: 'ok', isReusable: false }],
  ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', { body: 'ok', isReusable: false }],
  ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok', { body: 'ok', isReusable: true }],
  ['HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\nok', { body: 'ok', isReusable: false }],
  [`${CHUNKED}2\r\nok\r\n${LAST}`, { body: 'ok', isReusable: true }],
  [`${CHUNKED}1;a;b=c;d="\\"e"\r\no\r\n0001\r\nk\r\n0;last\r\nX-T: u\r\n\r\n`, { body: 'ok', isReusable: true }],
  [`${CHUNKED}A\r\n0123456789\r\na\r\n0123456789\r\n${LAST}`, { body: '01234567890123456789' }],
  // Bodies that must not come, though some servers send them: RFC 9110, sections 9.3.2, 15.3.5 and
  // 15.4.5.
  [`${OK}Content-Length: 9\r\n\r\n`, { body: '', isReusable: false }, { method: 'HEAD' }],
  [CHUNKED, { body: '', isReusable: false }, { method: 'HEAD' }],
  [`${OK}\r\n`, { body: '', isReusable: false }, { method: 'HEAD' }],
  [`${OK}Content-Length: 0\r\n\r\n`, { body: '', isReusable: false }, { method: 'HEAD' }],
  ['HTTP/1.1 204 No Content\r\n\r\n', { body: '', isReusable: true }],
  ['HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', { body: '', isReusable: true }],
  ['HTTP/1.1 204 No Content\r\nContent-Length: 1\r\n\r\n', { body: '', isReusable: false }],
  ['HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', { body: '', isReusable: true }],
  ['HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n', { body: '', isReusable: false }],
  ['HTTP/1.1 101 Switching Protocols\r\n\r\n', { body: '', isReusable: false }, { isUpgrade: true }]
]

test('a response is complete where its framing says, and tells whether its connection may be used again', (t) => {
  for (const [text, expected, options = {}] of ACCEPTED) {
    const reading = readText(text, { ...options, staysOpen: true })
    const isUntilClose = reading.end === 'open'
    t.match(isUntilClose ? readText(text, options) : reading, { end: 'complete', ...expected }, JSON.stringify(text))
    const reference = readWithLlhttp(Buffer.from(text), options.method ?? 'GET', options.isUpgrade ?? false)
    t.equal(differenceOf(readText(text, options), reference), null, JSON.stringify(text))
  }
  t.end()
})

const FAULTS: Readonly<Record<string, readonly string[]>> = {
  HTTP_VERSION: ['HTTP/2.0 200 OK\r\n\r\n', 'HTTP/1.2 200 OK\r\n\r\n', `\r\n${OK}\r\n`, `\n${OK}\r\n`, 'X'],
  HTTP_STATUS_LINE: [
    'HTTP/1.1 099 Low\r\n\r\n',
    'HTTP/1.1 1000 High\r\n\r\n',
    'HTTP/1.1 200\tOK\r\n\r\n',
    'HTTP/1.1 200 O\0K\r\n\r\n',
    'HTTP/1.1 200 O\x7fK\r\n\r\n',
    'HTTP/1.1 200 OK\n\n',
    'HTTP/1.1 200 OK\r\r\n'
  ],
  HTTP_FIELD_NAME: [`${OK}X A: b\r\n\r\n`, `${OK}: b\r\n\r\n`, `${OK}A\r\n\r\n`, `${OK}A : b\r\n\r\n`, `${OK}\n`],
  HTTP_FIELD_VALUE: [
    `${OK}A: b\nC: d\r\n\r\n`,
    `${OK}A: b\rC: d\r\n\r\n`,
    `${OK}A: \0\r\n\r\n`,
    `${OK}A: \x1f\r\n\r\n`
  ],
  HTTP_FOLDING: [`${OK}A: b\r\n c\r\n\r\n`, `${OK}A: b\r\n\tc\r\n\r\n`, `${OK} A: b\r\n\r\n`],
  HTTP_FRAMING: [
    `${OK}Content-Length: 9007199254740992\r\n\r\n`,
    `${OK}Content-Length: 2\r\ncontent-length: 2\r\n\r\nok`,
    `${OK}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n${LAST}`,
    `${OK}Transfer-Encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n${LAST}`,
    `${OK}Transfer-Encoding: \xa0chunked\r\n\r\n${LAST}`,
    `${OK}Transfer-Encoding: chunked\xa0\r\n\r\n${LAST}`,
    `${OK}Transfer-Encoding:\r\n\r\n${LAST}`,
    `${OK}Transfer-Encoding: identity\r\n\r\nok`,
    `HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${LAST}`,
    'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n'
  ],
  HTTP_CHUNK: [
    `${CHUNKED}00000000000004\r\nfine\r\n${LAST}`,
    `${CHUNKED}2\r\nokX`,
    `${CHUNKED}2\r\nok\rX`,
    `${CHUNKED}2\r\nok\n`,
    `${CHUNKED}2; a\r\nok\r\n`,
    `${CHUNKED}2;a="b\r\nok\r\n`,
    `${CHUNKED}2;${'a'.repeat(1_100)}`,
    `${CHUNKED}${`1;${'a'.repeat(1_000)}\r\nx\r\n`.repeat(20)}`
  ],
  HTTP_TRAILERS: [
    `${CHUNKED}0\r\nContent-Length: 5\r\n\r\n`,
    `${CHUNKED}0\r\ntransfer-encoding: chunked\r\n\r\n`,
    `${CHUNKED}0\r\n${'A: b\r\n'.repeat(129)}\r\n`,
    `${CHUNKED}0\r\nA: ${'b'.repeat(16_384)}\r\n\r\n`
  ],
  HTTP_HEAD_TOO_LARGE: [`${OK}A: ${'b'.repeat(65_536)}`, `${OK}${'A: b\r\n'.repeat(11_000)}`],
  HTTP_INTERIM: [
    'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(4_097),
    `HTTP/1.1 103 Early Hints\r\nA: ${'b'.repeat(60_000)}\r\n\r\n`.repeat(5)
  ],
  HTTP_UPGRADE: ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n'],
  HTTP_INCOMPLETE: ['H', OK, `${OK}Content-Length: 2\r\n\r\no`, `${CHUNKED}2\r\nok\r\n0\r\n`, 'HTTP/1.1 102 A\r\n\r\n'],
  HTTP_CLOSED: ['']
}

test('each malformed response ends in a fault with its code', (t) => {
  for (const [code, texts] of Object.entries(FAULTS)) {
    for (const text of texts) t.match(readText(text), { end: 'fault', code }, JSON.stringify(text.slice(0, 100)))
  }
  t.end()
})

test('the documentation explains each code', (t) => {
  for (const page of ['upstreams.md', 'upstreams.zh-CN.md']) {
    const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8')
    t.same(new Set(text.match(/\bHTTP_[A-Z_]+/g)), new Set(Object.keys(FAULTS)), page)
  }
  t.end()
})

test('a response is read alike wherever its bytes are cut', (t) => {
  const answers: Answer[] = [
    ...corpus,
    ...ACCEPTED.map(([text, , options = {}]) => ({ text, options })),
    ...Object.values(FAULTS).flatMap((texts) => texts.map((text) => ({ text, options: {} })))
  ]
  for (const { text, options } of answers) {
    // A cut before bytes beyond the response makes them arrive later.
    const { offset } = readText(text, options)
    const whole = eventsOf(readText(text, options))
    const expected = { ...whole, isReusable: false }
    for (const cuts of cutsOf(text.length)) {
      const cut = eventsOf(readText(text, options, cuts))
      const isSame = JSON.stringify({ ...cut, isReusable: false }) === JSON.stringify(expected)
      const isReusable = cut.isReusable === whole.isReusable || (cut.isReusable && cuts.includes(offset))
      if (!isSame || !isReusable)
        t.match(cut, whole, `${JSON.stringify(text.slice(0, 200))} cut at ${cuts.slice(0, 9)}`)
    }
  }
  t.end()
})

test('bytes after a response are left to the caller, and its connection is not used again', (t) => {
  for (const [text, , options = {}] of ACCEPTED) {
    if (readText(text, { ...options, staysOpen: true }).end === 'open') continue
    t.match(readText(`${text}HTTP`, options), { end: 'complete', offset: text.length, isReusable: false })
  }
  t.end()
})

test('names are kept as sent, values as bytes without blanks around them, in order and repeated', (t) => {
  const text = `${OK}Set-Cookie: a=1\r\nX-Empty:\r\nX-BLANK: \t \r\nsEt-cOOkie:\t b \tc\t \r\nX-B: \xe6\x8a\xa5\r\nContent-Length: 0\r\n\r\n`
  const fields = ['Set-Cookie', 'a=1', 'X-Empty', '', 'X-BLANK', '', 'sEt-cOOkie', 'b \tc', 'X-B', '\xe6\x8a\xa5']
  t.same(readText(text).heads, [{ status: 200, fields: [...fields, 'Content-Length', '0'] }])
  t.end()
})

interface Recorded {
  readonly parser: ResponseParser
  readonly events: string[]
}

/** A sink that calls `act` on each event. */
function record(act: (event: string, parser: ResponseParser) => void = () => {}): Recorded {
  const events: string[] = []
  const note = (event: string) => {
    events.push(event)
    act(event, parser)
  }
  const parser = new ResponseParser({
    onInformational: (status) => note(`interim ${status}`),
    onHead: (status) => note(`head ${status}`),
    onBody: (chunk) => note(`body ${chunk}`),
    onComplete: (isReusable) => note(`complete ${isReusable}`)
  })
  return { parser, events }
}

test('a stopped parser calls the sink no more, whatever comes', (t) => {
  const text = `HTTP/1.1 102 A\r\n\r\n${CHUNKED}1\r\na\r\n1\r\nb\r\n${LAST}`
  const all = ['interim 102', 'head 200', 'body a', 'body b']
  for (const [index, last] of all.entries()) {
    const { parser, events } = record((event) => event === last && parser.stop())
    parser.expect('GET', false)
    parser.read(Buffer.from(text))
    parser.read(Buffer.from('more'))
    parser.end()
    t.same(events, all.slice(0, index + 1))
  }
  const { parser, events } = record((event) => event === 'head 200' && parser.stop())
  parser.expect('GET', false)
  parser.read(Buffer.from(`${OK}Content-Length: 0\r\n\r\n`))
  t.same(events, ['head 200'])
  t.end()
})

test('the sink may expect the next response when one is complete', (t) => {
  const { parser, events } = record((event) => event === 'complete true' && parser.expect('GET', false))
  parser.expect('GET', false)
  t.equal(parser.hasBegun, false)
  parser.read(Buffer.from(`${OK}Content-Length: 0\r\n`))
  t.equal(parser.hasBegun, true)
  parser.read(Buffer.from('\r\n'))
  t.equal(parser.hasBegun, false)
  parser.read(Buffer.from(`${OK}Content-Length: 1\r\n\r\na`))
  t.same(events, ['head 200', 'complete true', 'head 200', 'body a', 'complete true'])
  t.end()
})

test('the seconds of Keep-Alive are those of the current response', (t) => {
  const { parser } = record()
  for (const [value, seconds] of [
    ['timeout=5', 5],
    ['max=100, Timeout = 30', 30],
    ['timeout="7"', 7],
    ['timeout=x', -1],
    ['timeout=5s', -1],
    ['xtimeout=5', -1]
  ] as const) {
    parser.expect('GET', false)
    t.equal(parser.keepAliveSeconds, -1)
    parser.read(Buffer.from(`${OK}Keep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`))
    t.equal(parser.keepAliveSeconds, seconds, value)
  }
  t.end()
})

test('the next response on a connection knows nothing of the last one', (t) => {
  const { parser, events } = record()
  for (const text of [`${CHUNKED}1\r\na\r\n${LAST}`, 'HTTP/1.1 204 A\r\n\r\n', `${OK}Content-Length: 1\r\n\r\nb`]) {
    parser.expect('GET', false)
    parser.read(Buffer.from(text))
  }
  parser.expect('HEAD', false)
  parser.read(Buffer.from(`${OK}Content-Length: 1\r\n\r\n`))
  parser.expect('GET', false)
  parser.read(Buffer.from(`${OK}Connection: close\r\n\r\n`))
  parser.end()
  t.equal(
    events.join(),
    'head 200,body a,complete true,head 204,complete true,head 200,body b,complete true,head 200,complete false,head 200,complete false'
  )
  t.end()
})

test('a fault ends the reading', (t) => {
  const { parser, events } = record()
  parser.expect('GET', false)
  t.throws(() => parser.read(Buffer.from('SSH-2.0')), { name: 'ResponseFault', code: 'HTTP_VERSION' })
  parser.read(Buffer.from(`${OK}\r\n`))
  parser.end()
  t.same(events, [])
  t.end()
})
