/** Caches keep copies: a text cut from a request head would keep all of that head in memory. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { ApiError } from '../src/errors.ts'
import { createSpellings } from '../src/http/headers/spellings.ts'
import type { Principal } from '../src/identity/principal.ts'
import { createTokenMemory } from '../src/identity/tokens/token-memory.ts'
import { createRateLimiter } from '../src/routing/rate-limiter.ts'
import { createRecentFailures } from '../src/telemetry/recent-failures.ts'
import { Framing } from '../src/upstream/connection/framing.ts'
import { createFakeClock } from './support/clock.ts'

const HEAD_BYTES = 100_000
const COUNT = 500

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** A text of the length of a token, cut from a large head. */
function cut(text: string): string {
  const head = Buffer.alloc(HEAD_BYTES, text.padEnd(40, '-')).toString('latin1')
  return head.slice(40, 80)
}

function heapBytes(): number {
  collect()
  return process.memoryUsage().heapUsed
}

const principal: Principal = {
  appId: 'wx1234567890abcdef',
  openId: 'oAbCdEf',
  unionId: null,
  userId: 'u_1',
  sessionId: 's_1',
  epoch: 0,
  status: 'anonymous',
  claims: {},
  expiresAt: 0
}

test('a cut text keeps its head, so that the rules below measure something', (t) => {
  const kept: string[] = []
  const before = heapBytes()
  for (let n = 0; n < COUNT; n++) kept.push(cut(`text-${n}.`))
  t.ok(heapBytes() - before > (COUNT * HEAD_BYTES) / 2)
  t.equal(kept.length, COUNT)
  t.end()
})

const memory = createTokenMemory()
const refusal = new ApiError('token_invalid', 'refused')
const spelling = createSpellings((name) => name.length)
const framings = Array.from({ length: COUNT }, () => new Framing())
const clock = createFakeClock()
const limiter = createRateLimiter({
  store: { increment: async () => 2 },
  clock,
  name: 'test',
  max: 1,
  window: 60_000
})

const failures = createRecentFailures(() => 0)
const failure = {
  method: 'GET',
  route: null,
  principal: null,
  reason: 'token_invalid',
  isGranted: false,
  target: '',
  tries: 0,
  status: 401,
  ms: 1
}

const caches: Readonly<Record<string, (text: string, n: number) => unknown>> = {
  'verified tokens': (text) => memory.verified(text, principal),
  'refused tokens': (text) => {
    memory.refused(text, refusal)
    memory.refused(text, refusal)
  },
  'spellings of header names': (text) => spelling(text),
  'the Keep-Alive of a connection': (text, n) => framings[n]?.note('Keep-Alive', text),
  'recent failures': (text) => failures.finished({ ...failure, requestId: text, path: text, clientAddress: text }),
  'clients above a limit': (text) => limiter.hit(text).catch(() => {})
}

for (const [name, remember] of Object.entries(caches)) {
  test(`no head stays in memory for ${name}`, async (t) => {
    const before = heapBytes()
    for (let n = 0; n < COUNT; n++) await remember(cut(`${name.slice(0, 20)}-${n}.`), n)
    t.ok(heapBytes() - before < (COUNT * HEAD_BYTES) / 10)
  })
}

test('a remembered token is found by any text that is equal', (t) => {
  t.equal(memory.find(cut('verified tokens-7.')), principal)
  t.equal(memory.find(cut('refused tokens-7.')), refusal)
  t.equal(memory.find(cut('unknown-7.')), undefined)
  t.end()
})

test('of two verified tokens that share a place, both are found', (t) => {
  const [one, two] = ['one.same-ending', 'two.same-ending']
  for (const token of [one, two]) memory.verified(token, { ...principal, userId: token })
  for (const token of [one, two, one, one, two]) t.match(memory.find(token), { userId: token })
  t.equal(memory.find('six.same-ending'), undefined)
  t.end()
})

test('a decision about a name is remembered for this spelling only', (t) => {
  const asked: string[] = []
  const decide = createSpellings((name) => asked.push(name))
  // The middle, the first and the second last letter choose the place.
  for (const name of ['X-Canary', 'X-Canary', 'x-canary', 'x-banary', 'X-Canary', 'X-Canarx', 'X-Canary', 'a', 'a']) {
    decide(name)
  }
  t.same(asked, ['X-Canary', 'x-canary', 'x-banary', 'X-Canarx', 'X-Canary', 'a'])
  const long = 'x'.repeat(65)
  decide(long)
  decide(long)
  t.equal(asked.filter((name) => name === long).length, 2, 'a long name is not kept')
  t.end()
})
