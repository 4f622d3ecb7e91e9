/** Responses of an upstream: the gateway's own parser accepts nothing that llhttp, in its strict
 *  mode, refuses or reads differently. It reads alike wherever the bytes are cut, and as the
 *  second response of a connection. */
import fc from 'fast-check'
import { codePoint } from '../support/code-point.ts'
import { readWithLlhttp } from '../support/llhttp.ts'
import { differenceOf, type OwnReading, readPieces } from '../support/response-reading.ts'
import { apply, byte, bytes, type Edit, type Fuzzer } from './fuzzer.ts'
import { fieldLine, pick, SEPARATORS } from './head-parts.ts'

export interface ResponseInput {
  /** Latin-1: one character, one byte. */
  readonly text: string
  readonly method: string
  readonly isUpgrade: boolean
  /** Places where the bytes are cut into reads; 0 to 1. */
  readonly cuts: readonly number[]
}

const NAMES = [
  'Server',
  'Date',
  'Set-Cookie',
  'ETag',
  'Vary',
  'X-A',
  'x-b',
  "!#$%&'*+-.^_`|~9",
  'Trailer',
  'Upgrade',
  'A'
]
const FRAMING_NAMES = [
  'Content-Length',
  'content-length',
  'Transfer-Encoding',
  'Connection',
  'Keep-Alive',
  'Proxy-Connection'
]
const VALUES = [
  '',
  'a',
  'a b',
  '\t a\t ',
  '"q"',
  'a:b',
  '\x80\xff',
  '\xa0',
  'h2c',
  'websocket',
  'W/"1"',
  'a, b',
  'z'.repeat(300)
]
const FRAMING_VALUES = [
  '0',
  '4',
  '004',
  '4, 4',
  '4 ',
  '4\t',
  '+4',
  '0x4',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551615',
  '18446744073709551616',
  'chunked',
  'Chunked',
  'chunked ',
  'chunked\t',
  '\tchunked',
  '\xa0chunked',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  'close',
  'CLOSE',
  'keep-alive',
  'close, keep-alive',
  'a keep-alive',
  ', Keep-Alive ,',
  'keep-alive;a',
  'x-close',
  'close;a',
  'keep-alive, close',
  'upgrade, close',
  'a,close ,b',
  'timeout=5',
  'upgrade'
]
const VERSIONS = [...Array<string>(14).fill('1.1'), '1.0', '1.0', '1.2']
const STATUSES = [
  '200',
  '200',
  '200',
  '200',
  '201',
  '206',
  '404',
  '500',
  '204',
  '304',
  '599',
  '600',
  '999',
  '101',
  '103',
  '099'
]
const REASONS = [' OK', ' OK', ' OK', ' OK', ' OK', '', ' ', ' a  b ', ' \xe4\t', ' \0']
const SIZES = [
  '0',
  '00',
  '1',
  '4',
  '4',
  'a',
  'F',
  '0004',
  '1;a',
  '4;a=b',
  '4;a="b;c"',
  '4;a="\\""',
  '4; a',
  '4 ',
  '0;x',
  'g',
  '',
  '10000000000004',
  '4;a=',
  '4;',
  '4;;'
]
const TRAILERS = [
  'X-T: a\r\n',
  'Content-Length: 4\r\n',
  'Transfer-Encoding: chunked\r\n',
  'A:\r\n',
  'no colon\r\n',
  ' a: b\r\n'
]
const SCRAPS = [
  ...SEPARATORS,
  '\x85',
  ';',
  '=',
  '(',
  'f',
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.0',
  'HTTP/1.1 100 Continue\r\n\r\n',
  'Content-Length: 4\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip\r\n',
  'Connection: close\r\n',
  'Connection: upgrade\r\nUpgrade: h2c\r\n',
  '0\r\n\r\n',
  '4\r\nfine\r\n',
  'ffffffffffffffff\r\n'
]

const field = fc
  .oneof(
    { weight: 15, arbitrary: fc.tuple(pick(NAMES), pick(VALUES)) },
    { weight: 1, arbitrary: fc.tuple(pick(FRAMING_NAMES), pick(FRAMING_VALUES)) }
  )
  .chain(fieldLine)
const fields = fc.array(field, { maxLength: 5 }).map((lines) => lines.join(''))
const statusLine = fc
  .tuple(pick(VERSIONS), pick(STATUSES), pick(REASONS))
  .map(([version, status, reason]) => `HTTP/${version} ${status}${reason}\r\n`)
const interim = fc.tuple(pick(['100 Continue', '102 ', '103 Early Hints']), fields)
const interims = fc.oneof(
  { weight: 3, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc
      .array(interim, { minLength: 1, maxLength: 3 })
      .map((list) => list.map(([status, lines]) => `HTTP/1.1 ${status}\r\n${lines}\r\n`).join(''))
  }
)

/** A framing field and the body that follows the head. */
const content = fc.string({ unit: codePoint, maxLength: 12 }).map((text) => Buffer.from(text).toString('latin1'))
const chunk = fc.oneof(
  { weight: 9, arbitrary: content.map((data) => (data === '' ? '' : `${data.length.toString(16)}\r\n${data}\r\n`)) },
  { weight: 1, arbitrary: pick(SIZES).map((size) => `${size}\r\nfine\r\n`) }
)
const trailers = fc.oneof(
  { weight: 5, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.array(pick(TRAILERS), { maxLength: 3 }).map((lines) => lines.join('')) }
)
const framed = fc.oneof(
  content.map((data) => [`Content-Length: ${data.length}\r\n`, data]),
  fc
    .tuple(fc.array(chunk, { maxLength: 4 }), trailers)
    .map(([chunks, lines]) => ['Transfer-Encoding: chunked\r\n', `${chunks.join('')}0\r\n${lines}\r\n`]),
  content.map((data) => ['', data])
)
const answer = fc
  .tuple(interims, statusLine, fields, framed, fields)
  .map(
    ([before, line, first, [framing = '', body = ''], last]) => `${before}${line}${first}${framing}${last}\r\n${body}`
  )

interface Mutation {
  readonly edits: readonly Edit[]
  /** A piece of the text is repeated: its start, 0 to 1, and its length. */
  readonly repeat: readonly [at: number, length: number] | null
  /** The share of the text that is kept. */
  readonly kept: number
  readonly rest: string
}

/** Even over the text: most values of fc.double are close to 0. */
const share = fc.nat(10_000).map((part) => part / 10_000)
const edit: fc.Arbitrary<Edit> = fc.record({
  at: share,
  cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 2, arbitrary: fc.nat(12) }),
  put: fc.oneof(
    { weight: 6, arbitrary: pick(SCRAPS) },
    { weight: 2, arbitrary: byte().map((code) => String.fromCharCode(code)) },
    { weight: 1, arbitrary: fc.constant('') }
  )
})
const mutation: fc.Arbitrary<Mutation> = fc.record({
  edits: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(edit, { maxLength: 2 }) }
  ),
  repeat: fc.oneof({ weight: 8, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.tuple(share, fc.nat(40)) }),
  kept: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: share }),
  rest: fc.oneof({ weight: 16, arbitrary: fc.constant('') }, { weight: 1, arbitrary: pick(SCRAPS) }, bytes(8))
})

/** @returns The text with all changes of the mutation. */
export function mutate(text: string, { edits: changes, repeat, kept, rest }: Mutation): string {
  let result = apply(text, changes)
  if (repeat !== null) {
    const at = Math.floor(repeat[0] * result.length)
    result = result.slice(0, at + repeat[1]) + result.slice(at)
  }
  return result.slice(0, Math.ceil(kept * result.length)) + rest
}

/** Leaves something of every kind in a parser that forgets to clear it. */
const FORMER = [
  'HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive\r\n\r\n',
  '4;a="b"\r\nbody\r\n0\r\nX-T: u\r\n\r\n'
].join('')

const inputs: fc.Arbitrary<ResponseInput> = fc.record({
  text: fc.tuple(answer, mutation).map(([text, change]) => mutate(text, change)),
  method: pick(['GET', 'GET', 'GET', 'POST', 'HEAD']),
  isUpgrade: fc.boolean(),
  cuts: fc.array(share, { maxLength: 3 })
})

/** @param read Reads pieces of a response. A test gives a careless one. */
export function createResponseFuzzer(read: typeof readPieces = readPieces): Fuzzer<ResponseInput> {
  return {
    name: 'responses',
    inputs,
    check({ text, method, isUpgrade, cuts }) {
      const own = read([Buffer.from(text, 'latin1')], { method, isUpgrade })
      const difference = differenceOf(own, readWithLlhttp(Buffer.from(text, 'latin1'), method, isUpgrade))
      if (difference !== null) return difference
      const offsets = cuts.map((cut) => Math.floor(cut * text.length)).sort((one, other) => one - other)
      const bounds = [...offsets, text.length]
      const pieces = bounds.map((bound, index) => Buffer.from(text.slice(bounds[index - 1] ?? 0, bound), 'latin1'))
      const inPieces = read(pieces, { method, isUpgrade, former: FORMER })
      return isAlike(own, inPieces) ? null : `in one piece ${show(own)}, cut ${show(inPieces)}`
    }
  }
}

/** Bytes after a response come in a later read when it is cut there: its connection looks
 *  reusable until then. The code of a fault depends on the part of a line that came. */
function isAlike(whole: OwnReading, cut: OwnReading): boolean {
  if (whole.isReusable && !cut.isReusable) return false
  return show({ ...whole, isReusable: false }) === show({ ...cut, isReusable: false })
}

function show({ heads, body, end, isReusable }: OwnReading): string {
  return JSON.stringify({ heads, body, end, isReusable })
}
