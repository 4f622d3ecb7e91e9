/** The headers of an upstream, as a property: whatever a client sends, the identity is the
 *  gateway's, once. */
import fc from 'fast-check'
import { test } from 'tap'
import { ApiError } from '../src/errors.ts'
import { createHeaderNames, HOP_BY_HOP } from '../src/http/headers/header-names.ts'
import { type RequestHeaders, readRequestHeaders } from '../src/http/headers/request-headers.ts'
import type { Peer } from '../src/http/network.ts'
import { claimHeaders, encodeValue } from '../src/identity/identity-headers.ts'
import type { Principal } from '../src/identity/principal.ts'
import { codePoint } from './support/code-point.ts'
import { route } from './support/route-tables.ts'
import { headersFor, REQUEST_ID, TRACEPARENT } from './support/upstream-head.ts'

const RUNS = Number(process.env.FUZZ_RUNS ?? 2_000)
const PRINCIPAL: Principal = {
  appId: 'wx1234567890abcdef',
  openId: 'oOurs-0123456789',
  unionId: 'uOurs-0123456789',
  userId: 'user-ours',
  sessionId: 'session-ours',
  epoch: 0,
  status: 'bound',
  claims: { role: 'boss' },
  expiresAt: 0
}
const ROUTE = route('/', {
  requestHeaders: { set: { 'X-Tenant': 'ours' }, remove: ['X-Unwanted'] },
  inject: { 'X-Role': 'role' }
})
const OURS: Readonly<Record<string, string>> = {
  'x-openid': PRINCIPAL.openId,
  'x-appid': PRINCIPAL.appId,
  'x-unionid': 'uOurs-0123456789',
  'x-user-id': PRINCIPAL.userId,
  'x-user-status': 'bound',
  'x-session-id': PRINCIPAL.sessionId,
  'x-request-id': REQUEST_ID,
  traceparent: TRACEPARENT,
  'x-tenant': 'ours',
  'x-role': 'boss'
}
const names = createHeaderNames(['X-Tenant', 'X-Role'])
const peerOf = (isTrusted: boolean): Peer => ({ address: '192.0.2.1', isTrusted, proto: 'http' })

/** One of the relevant names in some spelling. */
const spelled = fc
  .tuple(
    fc.constantFrom(
      ...Object.keys(OURS),
      'x-wx-openid',
      'x-session-key',
      'authorization',
      ...HOP_BY_HOP,
      '--proto--',
      'x-unwanted',
      'expect',
      'x-real-ip'
    ),
    fc.array(fc.tuple(fc.nat(20), fc.constantFrom('_', '.', '-', '~', '!', 'upper')), { maxLength: 3 })
  )
  .map(([name, changes]) => {
    let text = name
    for (const [place, change] of changes) {
      const hyphens = [...text.matchAll(/[^A-Za-z0-9]/g)].map(({ index }) => index)
      const at = change === 'upper' ? place % text.length : (hyphens[place % Math.max(1, hyphens.length)] ?? -1)
      if (at < 0) continue
      text = text.slice(0, at) + (change === 'upper' ? (text[at] ?? '').toUpperCase() : change) + text.slice(at + 1)
    }
    return text
  })
const token = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
const header = fc.tuple(fc.oneof(spelled, spelled, token), fc.constantFrom('EVIL', 'EVIL, x-openid', 'keep-alive'))
const nomination = fc
  .tuple(fc.constantFrom('Connection', 'connection'), fc.array(fc.oneof(spelled, token), { maxLength: 4 }))
  .map(([name, tokens]): [string, string] => [name, tokens.join(', ')])
const headerList = fc.array(fc.oneof(header, header, nomination), { maxLength: 12 })

function build(list: readonly (readonly [string, string])[], isTrusted = false): string[] | null {
  const raw = ['Host', 'test', ...list.flat()]
  const request = readRequestHeaders(raw, { names, peer: peerOf(isTrusted), httpVersion: '1.1', limit: 16_384 })
  if (request instanceof ApiError) return null
  return headersFor(request, ROUTE, PRINCIPAL, peerOf(isTrusted))
}

const folded = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

test("whatever a client sends, each of the gateway's headers is there once with its value", (t) => {
  let built = 0
  fc.assert(
    fc.property(headerList, fc.boolean(), (list, isTrusted) => {
      const headers = build(list, isTrusted)
      if (headers === null) return
      built++
      for (const [name, value] of Object.entries(OURS)) {
        const values = headers.filter((_, index) => index % 2 === 1 && folded(headers[index - 1] ?? '') === name)
        if (values.length !== 1 || values[0] !== value) throw new Error(`${name} is ${JSON.stringify(values)}`)
      }
      for (const name of ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']) {
        const count = headers.filter((text, index) => index % 2 === 0 && folded(text) === name).length
        if (count !== 1) throw new Error(`${name} is there ${count} times`)
      }
      for (let index = 0; index < headers.length; index += 2) {
        const name = folded(headers[index] ?? '')
        if (
          HOP_BY_HOP.has(name) ||
          name === 'authorization' ||
          name === 'host' ||
          /^x-(?:wx|session)-(?!id$)/.test(name)
        )
          throw new Error(`${headers[index]} went upstream`)
        if (headers[index]?.includes('_')) throw new Error(`${headers[index]} went upstream`)
      }
    }),
    { numRuns: RUNS }
  )
  t.ok(built > RUNS / 4, `${built} lists were no error`)
  t.end()
})

test('without a principal no header names a user', (t) => {
  fc.assert(
    fc.property(headerList, (list) => {
      const raw = ['Host', 'test', ...list.flat()]
      const request = readRequestHeaders(raw, { names, peer: peerOf(false), httpVersion: '1.1', limit: 16_384 })
      if (request instanceof ApiError) return true
      const headers = headersFor(request, ROUTE, null)
      return !headers.some(
        (name, index) =>
          index % 2 === 0 && /^x-(?:openid|unionid|appid|user-id|user-status|session-|wx-|role$)/.test(folded(name))
      )
    }),
    { numRuns: RUNS }
  )
  t.end()
})

test('headers that a client may send arrive unchanged, in their order', (t) => {
  const harmless = fc.tuple(
    fc.constantFrom(
      'Accept',
      'User-Agent',
      'Cookie',
      'X-Custom',
      'accept-language',
      'If-None-Match',
      'Range',
      'X-Trace'
    ),
    fc.string({ unit: 'binary-ascii', maxLength: 10 })
  )
  fc.assert(
    fc.property(fc.array(harmless, { maxLength: 8 }), (list) => {
      const headers = build(list) ?? []
      return JSON.stringify(headers.slice(0, list.length * 2)) === JSON.stringify(list.flat())
    }),
    { numRuns: RUNS / 4 }
  )
  t.end()
})

test('the same headers are read the same way twice, and reading does not change them', (t) => {
  fc.assert(
    fc.property(headerList, (list) => {
      const raw = ['Host', 'test', ...list.flat()]
      const copy = [...raw]
      const read = () => readRequestHeaders(raw, { names, peer: peerOf(false), httpVersion: '1.1', limit: 16_384 })
      const [first, second] = [read(), read()]
      return JSON.stringify(raw) === JSON.stringify(copy) && describe(first) === describe(second)
    }),
    { numRuns: RUNS / 4 }
  )
  t.end()
})

function describe(result: RequestHeaders | ApiError): string {
  return result instanceof ApiError ? result.code : JSON.stringify(result)
}

test('any claim makes one header value of printable ASCII, and different claims different ones', (t) => {
  const text = fc.oneof(fc.string({ unit: codePoint }), fc.string({ unit: 'binary-ascii' }))
  fc.assert(
    fc.property(text, text, (a, b) => {
      const [first, second] = [encodeValue(a), encodeValue(b)]
      return /^[\x21-\x7e]*$/.test(first) && (a.toWellFormed() === b.toWellFormed()) === (first === second)
    }),
    { numRuns: RUNS / 4 }
  )
  for (const value of ['张三', 'a\r\nX-OpenId: EVIL', '\0', '\ud800', '100%', ' a', '\u2028', '']) {
    t.match(encodeValue(value), /^[\x21-\x7e]*$/, encodeValue(value))
    t.equal(decodeURIComponent(encodeValue(value)), value.toWellFormed(), encodeValue(value))
  }
  t.same(claimHeaders({ 'X-Proto': '__proto__', 'X-C': 'constructor' }, { role: 'x' }), [])
  t.end()
})
