/** Upstream headers: only those that a client may send, then those that only the gateway may
 *  send. */
import fc from 'fast-check'
import { ApiError } from '../../src/errors.ts'
import { createHeaderNames } from '../../src/http/headers/header-names.ts'
import { readRequestHeaders } from '../../src/http/headers/request-headers.ts'
import { claimHeaders, cloudRunHeaders, encodeValue, identityHeaders } from '../../src/identity/identity-headers.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { codePoint } from '../support/code-point.ts'
import { defaultConfig, readTestConfig } from '../support/gateway.ts'
import { headersFor } from '../support/upstream-head.ts'
import { apply, edits, type Fuzzer } from './fuzzer.ts'

export interface HeaderInput {
  readonly raw: readonly (readonly [name: string, value: string])[]
  readonly isTrusted: boolean
  readonly httpVersion: string
  readonly claim: string
}

const NAMES = [
  'Host',
  'X-OpenId',
  'X-UnionId',
  'X-AppId',
  'X-User-Id',
  'X-User-Status',
  'X-Session-Id',
  'X-WX-OPENID',
  'X-WX-SOURCE',
  'X-Role',
  'X-Set',
  'Authorization',
  'Connection',
  'Keep-Alive',
  'TE',
  'Trailer',
  'Upgrade',
  'Expect',
  'Transfer-Encoding',
  'Content-Length',
  'Content-Type',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Proto',
  'X-Forwarded-Port',
  'X-Request-Id',
  'traceparent',
  'CDN-Loop',
  'tracestate',
  'Forwarded',
  'X-Real-IP',
  'X-Original-URL',
  'X-HTTP-Method-Override',
  'Proxy-Authorization',
  '__proto__',
  'constructor',
  'Cookie',
  'Accept'
]
const VALUES = [
  'h',
  'h:80',
  '[::1]:80',
  'a b',
  '',
  '5',
  '-1',
  '5, 5',
  'chunked',
  'identity, chunked',
  'CHUNKED',
  'close, X-OpenId',
  'x-user-id, host, content-type',
  '__proto__, constructor',
  '127.0.0.1, 10.0.0.1',
  'https',
  '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  'Bearer x',
  'oVictimVictimVictim'
]
const SCRAPS = ['_', '.', '-', ' ', '\t', 'X', 'x', '0', '*', "'", '~', '^', '`', '|', 'K', 'ſ']

const name = fc
  .tuple(fc.constantFrom(...NAMES), fc.oneof(fc.constant([]), edits(SCRAPS, 2)), fc.boolean())
  .map(([base, list, isLower]) => apply(isLower ? base.toLowerCase() : base, list))
const value = fc.oneof(
  fc.constantFrom(...VALUES),
  fc.string({ unit: codePoint, maxLength: 20 }).map((text) => Buffer.from(text).toString('latin1'))
)

const PRINCIPAL: Principal = {
  appId: 'wx1234567890abcdef',
  openId: 'oReal-0001',
  unionId: 'uReal-0001',
  userId: 'u_real',
  sessionId: 's_real',
  epoch: 0,
  status: 'bound',
  claims: {},
  expiresAt: 0
}

const fold = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '-')
const HOP = /^(?:connection|keep-alive|te|trailer|upgrade|expect|transfer-encoding|content-length|host|authorization)$/
const FROM_US = ['x-request-id', 'x-forwarded-for', 'x-forwarded-proto', 'traceparent', 'cdn-loop']

export function createHeaderFuzzer(read: typeof readRequestHeaders = readRequestHeaders): Fuzzer<HeaderInput> {
  const config = readTestConfig({
    ...defaultConfig('http://127.0.0.1:9'),
    routes: [{ path: '/', upstream: 'app', requestHeaders: { set: { 'X-Set': 'ours' } } }]
  })
  const [first] = config.routes
  if (!first) throw new Error('no route')
  const route = { ...first, inject: { 'X-Role': 'role' } }
  const names = createHeaderNames(['X-Set', 'X-Role'])
  const ours = new Set(
    [
      ...identityHeaders(PRINCIPAL, 'bound'),
      ...cloudRunHeaders(PRINCIPAL, { env: 'prod', app: null }),
      ...cloudRunHeaders(PRINCIPAL, { env: null, app: 'wxowner' })
    ].map(fold)
  )

  return {
    name: 'headers',
    inputs: fc.record({
      raw: fc.array(fc.tuple(name, value), { maxLength: 12 }),
      isTrusted: fc.boolean(),
      httpVersion: fc.constantFrom('1.1', '1.0'),
      claim: fc.string({ unit: codePoint, maxLength: 30 })
    }),
    check({ raw, isTrusted, httpVersion, claim }) {
      const encoded = encodeValue(claim)
      if (!/^[\x21-\x7e]*$/.test(encoded)) return `a claim became ${JSON.stringify(encoded)}`
      const peer = { address: '192.0.2.1', isTrusted, proto: 'http' as const }
      const request = read(raw.flat(), { names, peer, httpVersion, limit: 16_384 })
      if (request instanceof ApiError)
        return request.status >= 400 && request.status < 500 ? null : `refused with ${request.status}`
      const identity = [...identityHeaders(PRINCIPAL, 'bound'), ...claimHeaders(route.inject, { role: claim })]
      const sent = headersFor(request, route, { ...PRINCIPAL, claims: { role: claim } }, peer)
      const seen = new Map<string, string[]>()
      for (let index = 0; index < sent.length; index += 2) {
        const key = sent[index] ?? ''
        if (HOP.test(key.toLowerCase())) return `${key} went upstream`
        if (key.includes('_')) return `${key} went upstream`
        seen.set(fold(key), [...(seen.get(fold(key)) ?? []), sent[index + 1] ?? ''])
      }
      for (let index = 0; index < identity.length; index += 2) {
        const values = seen.get(fold(identity[index] ?? '')) ?? []
        if (values.length !== 1 || values[0] !== identity[index + 1])
          return `${identity[index]} arrived as ${JSON.stringify(values)}`
      }
      for (const key of seen.keys()) {
        const isIdentity = ours.has(key) || key.startsWith('x-wx-') || key.startsWith('x-session-')
        if (isIdentity && !identity.some((own) => fold(own) === key)) return `${key} went upstream`
      }
      for (const key of FROM_US)
        if (seen.get(key)?.length !== 1) return `${key} arrived ${seen.get(key)?.length ?? 0} times`
      if (seen.get('x-set')?.join() !== 'ours') return `X-Set arrived as ${seen.get('x-set')?.join()}`
      return null
    }
  }
}
