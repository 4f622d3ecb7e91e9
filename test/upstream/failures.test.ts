/** Classification of failures. */

import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { ConnectionFault, codeOf, kindOf, toUpstreamError } from '../../src/upstream/failures.ts'

const withCode = (code: string) => Object.assign(new Error('10.0.0.5:3000'), { code })

const cases: readonly (readonly [string, unknown, boolean, string, string])[] = [
  ['a refused connection', withCode('ECONNREFUSED'), false, 'connect', 'upstream_unreachable'],
  ['a name without an address', withCode('ENOTFOUND'), false, 'connect', 'upstream_unreachable'],
  ['a reset during the TLS handshake', withCode('ECONNRESET'), false, 'connect', 'upstream_unreachable'],
  ['no descriptors left', withCode('EMFILE'), false, 'connect', 'upstream_unreachable'],
  [
    'a certificate that does not match',
    withCode('ERR_TLS_CERT_ALTNAME_INVALID'),
    false,
    'connect',
    'upstream_unreachable'
  ],
  ['no connection in time', new ConnectionFault('CONNECT_TIMEOUT'), false, 'connect', 'upstream_timeout'],
  ['a reset after the request', withCode('ECONNRESET'), true, 'reset', 'upstream_unreachable'],
  ['a close after the request', new ConnectionFault('CLOSED'), true, 'reset', 'upstream_unreachable'],
  ['no head in time', new ConnectionFault('RESPONSE_TIMEOUT'), true, 'other', 'upstream_timeout'],
  ['a close within the response', new ConnectionFault('TRUNCATED'), true, 'other', 'upstream_unreachable'],
  ['bytes that are not HTTP', withCode('HTTP_STATUS_LINE'), true, 'other', 'upstream_invalid'],
  ['an error of the gateway', new ApiError('body_too_large', 'too large'), false, 'other', 'body_too_large'],
  ['an error without a code', new Error('the client left'), false, 'other', 'upstream_invalid']
]

test('a failure has a kind and an error for the client that names no address', (t) => {
  for (const [name, error, wasSent, kind, code] of cases) {
    t.equal(kindOf(error, wasSent), kind, name)
    const answer = toUpstreamError(error, wasSent)
    t.equal(answer.code, code, name)
    t.notMatch(answer.detail, /10\.0\.0\.5/)
  }
  t.end()
})

test('the word for the log is a code, never a message', (t) => {
  t.equal(codeOf(withCode('EPIPE')), 'EPIPE')
  t.equal(codeOf(new AggregateError([withCode('ECONNREFUSED')])), 'ECONNREFUSED')
  for (const nothing of [null, undefined, 'text', new Error('10.0.0.5')]) t.equal(codeOf(nothing), '')
  t.end()
})
