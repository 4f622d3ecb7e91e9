/** Requests of a client: the recogniser of the fast lane accepts nothing that llhttp, in its strict
 *  mode, refuses or reads differently. It reads alike wherever the bytes lie, and never accepts
 *  a part of a head. */
import fc from 'fast-check'
import { Recogniser } from '../../src/fast-lane/recogniser.ts'
import { differenceFromLlhttp } from '../support/request-reading.ts'
import { bytes, type Fuzzer } from './fuzzer.ts'
import { fieldLine, pick, SEPARATORS } from './head-parts.ts'
import { createRandom, type Random } from './random.ts'

export interface RequestInput {
  /** Latin-1: one character, one byte. */
  readonly text: string
  /** Of the mutants that are tried beside the text. */
  readonly seed: number
}

/** A search of a few seconds tries a million heads: generating a text takes longer than reading
 *  its mutants. */
const MUTANTS = 128
const BEFORE = 'GET /before HTTP/1.1\r\nX: a'

/** Mostly ordinary. */
const METHODS = [
  ...Array<string>(20).fill('POST'),
  'GET',
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'get',
  'QUERY'
]
const TARGETS = [
  ...Array<string>(40).fill('/a/b'),
  '/',
  '/a',
  '/a?b=c',
  '/%2e%2e/x',
  '//',
  '/a;b',
  '/[|]{"}',
  '*',
  'http://h/',
  '/a#b',
  'a',
  `/${'z'.repeat(300)}`
]
const VERSIONS = [...Array<string>(60).fill('HTTP/1.1'), 'HTTP/1.0', 'HTTP/2.0', 'http/1.1', 'HTTP/1.1 ']
const NAMES = ['Host', 'Accept', 'Cookie', 'X-A', 'x-b', "!#$%&'*+-.^_`|~9", 'TE', 'Keep-Alive', 'Authorization', 'A']
const VALUES = ['', 'a', 'a b', '\t a\t ', '"q"', 'a:b', '\x80\xff', '\xa0', 'a, b', 'Bearer x.y.z', 'z'.repeat(300)]
const LANE_NAMES = [
  'Content-Length',
  'content-length',
  'Transfer-Encoding',
  'Connection',
  'CONNECTION',
  'Proxy-Connection',
  'Upgrade',
  'Expect',
  'Content_Length',
  'Content-Lengt',
  'Connections'
]
const LANE_VALUES = [
  '0',
  '4',
  '0004',
  '4, 4',
  '4 ',
  '4\t',
  '\t4',
  '+4',
  '0x4',
  '',
  '999999999999999',
  '9007199254740992',
  '18446744073709551620',
  'chunked',
  'chunked\t',
  'identity',
  'close',
  'Close ',
  'close\t',
  'keep-alive',
  'Keep-Alive\t',
  'close, keep-alive',
  'close,',
  'upgrade',
  'closed',
  '100-continue',
  'websocket'
]
const SCRAPS = [
  ...SEPARATORS,
  '#',
  '?',
  '/',
  'GET / HTTP/1.1\r\n',
  'HTTP/1.1',
  'Content-Length: 4\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Upgrade: h2c\r\n'
]

const field = fc
  .oneof(
    { weight: 16, arbitrary: fc.tuple(pick(NAMES), pick(VALUES)) },
    { weight: 2, arbitrary: fc.tuple(pick(LANE_NAMES), pick(LANE_VALUES)) },
    { weight: 1, arbitrary: fc.constant(['Content-Length', '4'] as const) },
    { weight: 1, arbitrary: fc.constant(['Connection', 'close'] as const) }
  )
  .chain(fieldLine)
const request = fc
  .tuple(pick(METHODS), pick(TARGETS), pick(VERSIONS), fc.array(field, { maxLength: 6 }), bytes(4))
  .map(([method, target, version, lines, rest]) => `${method} ${target} ${version}\r\n${lines.join('')}\r\n${rest}`)

const inputs: fc.Arbitrary<RequestInput> = fc.record({ text: request, seed: fc.nat() })

/** @param recogniser A test gives a careless one. */
export function createRequestFuzzer(
  recogniser: Pick<Recogniser, 'recognise'> = new Recogniser()
): Fuzzer<RequestInput> {
  return {
    name: 'requests',
    inputs,
    check({ text, seed }) {
      const random = createRandom(seed)
      for (let mutant = 0, next = text; mutant <= MUTANTS; mutant++, next = mutate(text, random)) {
        const fault = faultOf(recogniser, next, random)
        if (fault !== null) return `${fault}: ${JSON.stringify(next)}`
      }
      return null
    }
  }
}

function faultOf(recogniser: Pick<Recogniser, 'recognise'>, text: string, random: Random): string | null {
  const own = Buffer.from(text, 'latin1')
  const whole = recogniser.recognise(own, 0, own.length)
  const from = random(BEFORE.length)
  const among = Buffer.from(`${BEFORE.slice(0, from)}${text}\r\n\r\n`, 'latin1')
  const cut = random(text.length + 1)
  const part = recogniser.recognise(among, from, from + cut)
  if (typeof whole === 'string')
    return part === whole || part === 'incomplete' ? null : `${show(part)} of a part, ${whole} of the whole`
  const there = recogniser.recognise(among, from, from + text.length)
  const moved = { ...whole, bodyStart: whole.bodyStart + from }
  if (show(there) !== show(moved)) return `${show(there)} elsewhere is ${show(moved)} alone`
  const isWhole = cut >= whole.bodyStart
  if (isWhole ? show(part) !== show(moved) : part !== 'incomplete') return `${show(part)} of the first ${cut} bytes`
  return differenceFromLlhttp(whole, own, 0)
}

const show = (result: unknown) => JSON.stringify(result)

/** One or two changes at any place. */
function mutate(text: string, random: Random): string {
  let result = text
  for (let changes = 1 + random(2); changes > 0; changes--) {
    const at = random(result.length + 1)
    const [before, after] = [result.slice(0, at), result.slice(at)]
    switch (random(5)) {
      case 0:
        result = before + String.fromCharCode(random(256)) + after
        break
      case 1:
        result = before + String.fromCharCode(random(256)) + after.slice(1)
        break
      case 2:
        result = before + after.slice(1 + random(3))
        break
      case 3:
        result = before + after.slice(0, 1 + random(24)) + after
        break
      default:
        result = before + (SCRAPS[random(SCRAPS.length)] ?? '') + after
    }
  }
  return result
}
