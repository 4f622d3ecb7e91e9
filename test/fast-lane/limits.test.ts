/** Requests at the limits, early responses and broken connections: the same effect on both
 *  lanes. */
import { type Test, test } from 'tap'
import { effectOf, type Lanes, startLanes } from '../support/lanes.ts'

const request = (method: string, path: string, lines = '', body = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: gateway.example\r\n${lines}\r\n${body}`
const GET = request('GET', '/a')
const LAST = request('GET', '/last', 'Connection: close\r\n')
const begun = (path: string, length = 10) => request('POST', path, `Content-Length: ${length}\r\n`, 'ab')
const REST = `12345678${LAST}`
const MANY_BYTES = 'b'.repeat(90_000)

const WEBSOCKET = request(
  'GET',
  '/answer-websocket',
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
)

type Cases = Readonly<Record<string, readonly string[]>>

async function compare(t: Test, { fast, general }: Lanes, cases: Cases): Promise<void> {
  for (const [name, parts] of Object.entries(cases)) {
    const [one, other] = await Promise.all([effectOf(fast, parts), effectOf(general, parts)])
    t.same(one, other, name)
  }
}

test('sizes at and beyond a limit have the same effect on both lanes', async (t) => {
  const lanes = await startLanes(t, { config: { server: { limits: { body: '100kb' } } } })
  const length = (digits: string) => request('POST', '/a', `Content-Length: ${digits}\r\n`)
  await compare(t, lanes, {
    'fifteen digits': [length('999999999999999'), '{answer}', MANY_BYTES],
    'sixteen digits': [length('9999999999999999'), '{answer}', MANY_BYTES],
    'one byte too many': [length('102401'), '{answer}', MANY_BYTES],
    'the longest body': [length('102400') + 'b'.repeat(102_400) + LAST],
    'a long body of GET': [request('GET', '/a', 'Content-Length: 999999999999\r\n'), '{answer}', MANY_BYTES],
    'the longest target': [request('GET', `/${'a'.repeat(8_191)}`) + LAST],
    'a longer target': [request('GET', `/${'a'.repeat(8_192)}`) + LAST],
    'headers too large': [request('GET', '/a', `X-A: ${'a'.repeat(17_000)}\r\n`) + LAST],
    'too many lines': [request('GET', '/a', 'X: a\r\n'.repeat(1_100)) + LAST]
  })
})

test('limits of time have the same effect on both lanes', async (t) => {
  const limits = { headersTimeout: '800ms', bodyIdleTimeout: '800ms', keepAliveTimeout: '500ms' }
  const lanes = await startLanes(t, { config: { server: { limits } } })
  await compare(t, lanes, {
    'no byte': [],
    'part of a head': ['GET /a HTT'],
    'part of a second head': [GET, '{answer}', 'GET /b HTTP/1.1\r\nHost'],
    'no second request': [GET, '{answer}'],
    'a head without its body': [request('POST', '/a', 'Content-Length: 10\r\n')],
    'part of a body': [begun('/a')],
    'part of a second body': [GET, '{answer}', begun('/a')],
    'part of the body of a refused request': [begun('/admin')]
  })
})

test('a response before the end of the request has the same effect on both lanes', async (t) => {
  const lanes = await startLanes(t, { isEarly: ({ head }) => head.includes('/early') })
  await compare(t, lanes, {
    refused: [begun('/admin'), '{answer}', REST],
    'refused, with a long body': [begun('/admin', 95_000), '{answer}', MANY_BYTES],
    small: [begun('/early'), '{answer}', REST],
    chunked: [begun('/early/answer-chunked'), '{answer}', REST],
    large: [begun('/early/answer-big', 90_002), '{answer}', MANY_BYTES],
    'an error': [begun('/early/answer-503', 90_002), '{answer}', MANY_BYTES],
    invalid: [begun('/early/answer-broken'), '{answer}', REST],
    'invalid, with a long body': [begun('/early/answer-broken', 90_002), '{answer}', MANY_BYTES],
    'until the end': [begun('/early/answer-close'), '{answer}', REST]
  })
})

test('an end of the client and stray bytes have the same effect on both lanes', async (t) => {
  const lanes = await startLanes(t, { isEarly: ({ head }) => head.includes('/early') })
  await compare(t, lanes, {
    'an end without a byte': ['{end}'],
    'an end after a response': [GET, '{answer}', '{end}'],
    'an end within a head': ['GET /a HTTP/1.1\r\nHo', '{end}'],
    'an end within a second head': [GET, '{answer}', 'GET /a HTTP/1.1\r\nHo', '{end}'],
    'an end within a body': [begun('/a'), '{end}'],
    'an end within a body after its response': [begun('/early'), '{answer}', '{end}'],
    'an end within the body of a refused request': [begun('/admin'), '{answer}', '{end}'],
    'empty lines between requests': [GET, '{answer}', '\r\n', `\r\n${LAST}`],
    'garbage behind a request': [`${GET}garbage`],
    'garbage behind a body': [`${request('POST', '/a', 'Content-Length: 2\r\n', 'ab')}\x00\x01`],
    'a request behind the last one': [request('GET', '/a', 'Connection: close\r\n') + request('GET', '/smuggled')],
    'a request behind a last one that is refused': [
      request('GET', '/admin', 'Connection: close\r\n') + request('GET', '/smuggled')
    ]
  })
})

test('requests that only the general lane serves get its answers', async (t) => {
  const lanes = await startLanes(t)
  await compare(t, lanes, {
    'a WebSocket behind a request': [GET, '{answer}', `${WEBSOCKET}\x88\x80\0\0\0\0`],
    'own paths': [request('GET', '/livez') + GET + request('GET', '/healthz') + LAST],
    'an own path in disguise': [request('GET', '/%6civez') + LAST],
    'no Host': [`GET /a HTTP/1.1\r\n\r\n${LAST}`],
    'a malformed Host': [`GET /a HTTP/1.1\r\nHost: a b\r\n\r\n${LAST}`],
    'HEAD that is refused': [request('HEAD', '/admin', 'Content-Length: 2\r\n', 'ab') + LAST],
    'headers that end here': [
      request(
        'GET',
        '/a',
        'X-Forwarded-For: 192.0.2.9\r\nForwarded: for=a\r\nX-Request-Id: a\r\nX_OpenId: a\r\nTE: trailers\r\nKeep-Alive: a\r\n'
      ) + LAST
    ],
    'another method by a header': [request('POST', '/a', 'X-HTTP-Method-Override: DELETE\r\n') + LAST],
    'a proxy in front': [request('GET', '/a', 'CDN-Loop: a; b\r\n') + LAST]
  })
})
