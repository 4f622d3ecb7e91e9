/** Upstreams that misbehave: the client gets the answer of the contract, its connection stays in step or is closed, and
 *  whoever comes next notices nothing. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { hasOpenssl } from './support/certificates.ts'
import { buildTestGateway, type TestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { get, openClient, until } from './support/raw-client.ts'
import { ok, type RawUpstream, startRawUpstream } from './support/raw-upstream.ts'
import { startUpstream } from './support/upstream.ts'

const CRLF = '\r\n'
const GOOD = ok('good')

interface Bad {
  readonly gateway: TestGateway
  readonly upstream: RawUpstream
}

/** An upstream that answers `/public/bad` with `bytes` (a function may write them itself), and anything else well. */
async function startBad(
  t: Test,
  bytes: string | ((socket: Socket) => void),
  options: { timeouts?: Record<string, string>; retries?: Record<string, unknown> } = {}
): Promise<Bad> {
  const upstream = await startRawUpstream(t, (socket, head) => {
    if (!head.includes(' /public/bad')) socket.write(GOOD)
    else if (typeof bytes === 'string') socket.write(bytes, 'latin1')
    else bytes(socket)
  })
  const { timeouts = { connect: '300ms', response: '300ms', idle: '300ms' }, retries = { attempts: 0 } } = options
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { upstreams: { app: { targets: [{ url: upstream.url }], timeouts, retries } } }
  })
  return { gateway, upstream }
}

/** Asks for the bad answer and then, on the same connection where it is still open, for good ones. */
async function expectProblem(t: Test, { gateway, upstream }: Bad, status: number, code: string, method = 'GET') {
  const client = await openClient(t, gateway.port)
  client.send(`${method} /public/bad HTTP/1.1${CRLF}Host: a.example${CRLF}${CRLF}`)
  const answer = await client.response(method)
  t.equal(answer.status, status)
  if (method !== 'HEAD') {
    const problem = JSON.parse(answer.body)
    t.equal(problem.code, code)
    t.equal(problem.action, 'retry')
    t.ok(Number(answer.headers['retry-after']) >= 1)
    t.equal(problem.request_id, answer.headers['x-request-id'])
  }
  t.notMatch(JSON.stringify(answer), new RegExp(`127\\.0\\.0\\.1|${upstream.port}|ECONN|UND_ERR|at /`))
  for (let count = 0; count < 3; count++) {
    client.send(get('/public/good'))
    t.match(await client.response(), { status: 200, body: 'good' }, 'the client goes on over the same connection')
  }
  // The upstream's connection was not left behind, and nobody is counted as under way. (undici connects once more after
  // it gave up a request.)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  await until(() => upstream.open <= 2 || upstream.accepted > 20)
}

const head = (...lines: string[]) => ['HTTP/1.1 200 OK', ...lines, '', ''].join(CRLF)

const invalid: readonly (readonly [string, string])[] = [
  ['two different Content-Lengths', `${head('Content-Length: 2', 'Content-Length: 3')}okk`],
  ['two equal Content-Lengths', `${head('Content-Length: 2', 'Content-Length: 2')}ok`],
  ['a Content-Length list', `${head('Content-Length: 2, 2')}ok`],
  ['a negative Content-Length', `${head('Content-Length: -2')}ok`],
  ['a Content-Length that is no number', `${head('Content-Length: 0x2')}ok`],
  ['an empty Content-Length', `${head('Content-Length: ')}ok`],
  ['both framings', `${head('Content-Length: 2', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`],
  [
    'Transfer-Encoding: identity beside Content-Length',
    `${head('Transfer-Encoding: identity', 'Content-Length: 2')}ok`
  ],
  ['a transfer coding nobody asked for', `${head('Transfer-Encoding: gzip, chunked')}2\r\nok\r\n0\r\n\r\n`],
  ['chunked named twice', `${head('Transfer-Encoding: chunked, chunked')}2\r\nok\r\n0\r\n\r\n`],
  ['a NUL in a header value', `${head('X-A: a\0b', 'Content-Length: 2')}ok`],
  ['a bell in a header value', `${head('X-A: a\x07b', 'Content-Length: 2')}ok`],
  ['a DEL in a header value', `${head('X-A: a\x7fb', 'Content-Length: 2')}ok`],
  ['a bare CR in a header value', `${head('X-A: a\rb', 'Content-Length: 2')}ok`],
  ['a space in a header name', `${head('X A: b', 'Content-Length: 2')}ok`],
  ['a space before the colon', `${head('X-A : b', 'Content-Length: 2')}ok`],
  ['an empty header name', `${head(': b', 'Content-Length: 2')}ok`],
  ['a header without a colon', `${head('nonsense', 'Content-Length: 2')}ok`],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of letters', 'HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of zero', 'HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['another protocol', 'ICY 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a version that does not exist', 'HTTP/1.7 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['no HTTP at all', '220 mail.example ESMTP\r\n'],
  ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['an unasked 101 with Upgrade', 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['an unasked 101 without Upgrade', 'HTTP/1.1 101 Switching\r\n\r\n'],
  ['an unasked 100 with what does not belong there', 'HTTP/1.1 100 Continue\r\nContent-Length: x\r\n\r\n'],
  ['a head of more than 64 KiB', `HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(1000)}\r\n`.repeat(70)}\r\n`],
  ['one header of more than 64 KiB', `${head(`X-A: ${'a'.repeat(70_000)}`, 'Content-Length: 2')}ok`]
]

test('U04 H25 S16 an answer that is not valid HTTP is 502 upstream_invalid', async (t) => {
  let bytes = ''
  const bad = await startBad(t, (socket) => void socket.write(bytes, 'latin1'))
  for (const [name, answer] of invalid) {
    bytes = answer
    await t.test(name, (t) => expectProblem(t, bad, 502, 'upstream_invalid'))
  }
})

const broken: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['closes before it answered', (socket) => socket.end()],
  ['resets before it answered', (socket) => socket.resetAndDestroy()],
  ['closes in the middle of the head', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le')],
  [
    'resets in the middle of the head',
    (socket) => socket.write('HTTP/1.1 200 OK\r\nX-A: b\r\n', () => socket.resetAndDestroy())
  ]
]

test('U04 an upstream that breaks off before its answer is 502 upstream_unreachable', async (t) => {
  for (const [name, act] of broken) {
    await t.test(name, async (t) => expectProblem(t, await startBad(t, act), 502, 'upstream_unreachable'))
  }
})

test('U04 a refused connection is 502 upstream_unreachable, without the address', async (t) => {
  const port = await freePort()
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`)
  const client = await openClient(t, gateway.port)
  for (let count = 0; count < 3; count++) {
    client.send(get('/public/x'))
    const answer = await client.response()
    t.equal(answer.status, 502)
    t.equal(JSON.parse(answer.body).code, 'upstream_unreachable')
    t.notMatch(JSON.stringify(answer), new RegExp(`127\\.0\\.0\\.1|${port}|ECONNREFUSED`))
  }
  t.match(gateway.lines.at(-1), '"status":502')
  t.match(gateway.lines.at(-1), '"reason":"upstream_unreachable:ECONNREFUSED"')
})

test('U07 a silent upstream is 504 at the response timeout', async (t) => {
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    const bad = await startBad(t, () => {})
    const start = performance.now()
    await expectProblem(t, bad, 504, 'upstream_timeout', method)
    const took = performance.now() - start
    // undici's clock ticks every half second.
    t.ok(took >= 250 && took < 2_500, `${method}: ${took} ms`)
  }
})

test('S16 a head that drips is 504 at the response timeout, not one timeout per byte', async (t) => {
  const bad = await startBad(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nX-A: ')
    const timer = setInterval(() => socket.write('a'), 50)
    socket.on('close', () => clearInterval(timer))
  })
  const start = performance.now()
  await expectProblem(t, bad, 504, 'upstream_timeout')
  t.ok(performance.now() - start < 2_500)
})

test('S16 an endless row of 1xx does not keep a request alive beyond its time', async (t) => {
  for (const status of ['103 Early Hints', '102 Processing', '199 What']) {
    const bad = await startBad(t, (socket) => {
      const timer = setInterval(() => socket.write(`HTTP/1.1 ${status}\r\nLink: </a>\r\n\r\n`), 20)
      socket.on('close', () => clearInterval(timer))
    })
    const start = performance.now()
    await expectProblem(t, bad, 504, 'upstream_timeout')
    t.ok(performance.now() - start < 2_000, status)
  }
})

test('S16 thousands of 1xx before an answer are read past', async (t) => {
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n'
  const { gateway } = await startBad(t, early.repeat(5_000) + ok('late'))
  const client = await openClient(t, gateway.port)
  client.send(get('/public/bad'))
  t.match(await client.response(), { status: 200, body: 'late' })
  t.notMatch(client.pending, 'HTTP/1.1 103')
  client.send(get('/public/good'))
  t.match(await client.response(), { body: 'good' })
})

test('U08 a body that breaks off after its head was sent ends the client connection, so that half never looks whole', async (t) => {
  const cases: Record<string, (socket: Socket) => void> = {
    'short Content-Length': (socket) =>
      socket.write(`${head('Content-Length: 100')}half`, () => setTimeout(() => socket.end(), 30)),
    'reset in the body': (socket) =>
      socket.write(`${head('Content-Length: 100')}half`, () => setTimeout(() => socket.resetAndDestroy(), 30)),
    'chunks without an end': (socket) =>
      socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () => setTimeout(() => socket.end(), 30)),
    'a malformed chunk': (socket) =>
      socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () =>
        setTimeout(() => socket.write('zz\r\nmore\r\n'), 30)
      ),
    'a body that stops (idle)': (socket) => socket.write(`${head('Content-Length: 100')}half`)
  }
  for (const [name, act] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const { gateway, upstream } = await startBad(t, act)
      const client = await openClient(t, gateway.port)
      client.send(get('/public/bad'))
      await t.rejects(client.response())
      t.match(client.pending, /^HTTP\/1\.1 200/)
      t.match(client.pending, 'half')
      t.notMatch(client.pending, '0\r\n\r\n', 'no end was made up')
      t.notMatch(client.pending, 'problem')
      await until(() => gateway.lines.some((line) => line.includes('upstream_truncated')))
      const next = await openClient(t, gateway.port)
      next.send(get('/public/good'))
      t.match(await next.response(), { status: 200, body: 'good' })
      await until(() => upstream.open <= 2)
    })
  }
})

test('U08 half a body breaks the connection of a client that could not tell by anything else', async (t) => {
  const { gateway } = await startBad(t, (socket) =>
    socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () => setTimeout(() => socket.end(), 30))
  )
  const client = await openClient(t, gateway.port)
  const broken = once(client.socket, 'error')
  client.send(get('/public/bad').replace('HTTP/1.1', 'HTTP/1.0'))
  t.match(await broken, [{ code: 'ECONNRESET' }])
  t.match(client.pending, /^HTTP\/1\.1 200 .*half$/s)
})

test('S16 a body that is cut short at once is never passed on as a whole one', async (t) => {
  for (const bytes of [`${head('Content-Length: 100')}half`, `${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`]) {
    const { gateway } = await startBad(t, (socket) => socket.end(bytes))
    const client = await openClient(t, gateway.port)
    client.send(get('/public/bad'))
    const outcome = await client.response().catch(() => null)
    // Whether the head was out already is a matter of microseconds.
    if (outcome) t.match(outcome, { status: 502, body: /upstream_unreachable/ })
    else t.ok(client.isClosed)
    t.equal(await (await gateway.call('/public/good')).text(), 'good')
  }
})

test('a 304 may tell the length of what it does not bring', async (t) => {
  const { gateway } = await startBad(t, 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 1234\r\n\r\n')
  const client = await openClient(t, gateway.port)
  for (let count = 0; count < 3; count++) {
    client.send(get('/public/bad'))
    t.match(await client.response(), { status: 304, headers: { etag: '"a"' } })
    client.send(get('/public/good'))
    t.match(await client.response(), { status: 200, body: 'good' })
  }
})

test('S16 what an upstream says beyond its answer reaches nobody', async (t) => {
  const smuggled = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nX-Smuggled: 1\r\n\r\npoisoned'
  const cases: Record<string, string> = {
    'a whole second answer': ok('first') + smuggled,
    'more than Content-Length': `${head('Content-Length: 5')}first${smuggled}`,
    'bytes that are no HTTP': `${ok('first')}garbage garbage`,
    'a second answer after chunks': `${head('Transfer-Encoding: chunked')}5\r\nfirst\r\n0\r\n\r\n${smuggled}`,
    'a body on 204': `HTTP/1.1 204 No Content\r\nContent-Length: 8\r\n\r\n${smuggled}`,
    'a body on 304': `HTTP/1.1 304 Not Modified\r\nContent-Length: 8\r\n\r\n${smuggled}`
  }
  for (const [name, bytes] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      const { gateway } = await startBad(t, bytes)
      const client = await openClient(t, gateway.port)
      client.send(get('/public/bad'))
      const answer = await client.response()
      t.ok([200, 204, 304].includes(answer.status))
      t.equal(answer.body, answer.status === 200 ? 'first' : '')
      for (let count = 0; count < 5; count++) {
        client.send(get('/public/good'))
        t.match(await client.response(), { status: 200, body: 'good' })
      }
      t.equal(client.pending, '')
    })
  }
})

test('S16 what comes a moment after an answer is not the answer to the next request', async (t) => {
  let isPoisoned = false
  const { gateway } = await startBad(t, (socket) => {
    socket.write(ok('first'))
    setTimeout(() => {
      isPoisoned = socket.write(ok('poisoned'))
    }, 15)
  })
  const client = await openClient(t, gateway.port)
  for (let round = 0; round < 10; round++) {
    isPoisoned = false
    client.send(get('/public/bad'))
    t.match(await client.response(), { body: 'first' })
    await until(() => isPoisoned)
    client.send(get('/public/good'))
    t.match(await client.response(), { body: 'good' })
  }
})

test('S16 a body on the answer to HEAD does not become the next answer', async (t) => {
  const { gateway } = await startBad(t, ok('body of a HEAD'))
  const client = await openClient(t, gateway.port)
  client.send('HEAD /public/bad HTTP/1.1\r\nHost: a.example\r\n\r\n')
  const answer = await client.response('HEAD')
  t.equal(answer.status, 200)
  t.equal(answer.headers['content-length'], '14')
  client.send(get('/public/good'))
  t.match(await client.response(), { status: 200, body: 'good' })
})

test('H24 Trailer beside Content-Length does not end the process', async (t) => {
  const cases = [
    `${head('Trailer: x', 'Content-Length: 2')}ok`,
    `${head('trailer: x, y', 'Content-Length: 2', 'Connection: trailer')}ok`,
    `${head('Trailer: X-OpenId', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\nX-OpenId: EVIL\r\n\r\n`
  ]
  for (const bytes of cases) {
    const { gateway } = await startBad(t, bytes)
    const client = await openClient(t, gateway.port)
    client.send(get('/public/bad'))
    const answer = await client.response()
    t.match(answer, { status: 200, body: 'ok' })
    t.notOk('trailer' in answer.headers || 'x-openid' in answer.headers)
    client.send(get('/public/good'))
    t.match(await client.response(), { status: 200, body: 'good' })
    t.notMatch(client.pending, 'EVIL')
  }
})

test('H23 hop-by-hop, nominated and identity headers of an answer stay here', async (t) => {
  const { gateway } = await startBad(
    t,
    `${head(
      'X-OpenId: EVIL',
      'x_openid: EVIL',
      'X-Session-Id: EVIL',
      'X-WX-OPENID: EVIL',
      'X-User-Id: EVIL',
      'Connection: X-Hop, keep-alive, Content-Length',
      'X-Hop: EVIL',
      'Keep-Alive: timeout=5, max=1000',
      'Upgrade: h2c',
      'Proxy-Authenticate: EVIL',
      'Proxy-Connection: keep-alive',
      'TE: trailers',
      'X-Kept: yes',
      'Set-Cookie: a=1',
      'Set-Cookie: b=2',
      'Content-Length: 2'
    )}ok`
  )
  const client = await openClient(t, gateway.port)
  client.send(get('/public/bad'))
  const answer = await client.response()
  t.notMatch(JSON.stringify(answer), /EVIL|h2c|max=1000/)
  t.match(answer, { status: 200, body: 'ok', headers: { 'x-kept': 'yes', 'set-cookie': 'a=1, b=2' } })
})

test('an answer without a length ends with the connection, and the client gets it whole', async (t) => {
  const { gateway } = await startBad(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end'))
  const client = await openClient(t, gateway.port)
  client.send(get('/public/bad'))
  t.match(await client.response(), { status: 200, body: 'until the end' })
  client.send(get('/public/good'))
  t.match(await client.response(), { body: 'good' })
})

test('unusual but lawful answers pass', async (t) => {
  const cases: Record<string, readonly [string, number]> = {
    'HTTP/1.0': ['HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine', 200],
    'no reason phrase': ['HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\nfine', 200],
    'a status of its own': ['HTTP/1.1 599 Whatever\r\nContent-Length: 4\r\n\r\nfine', 599],
    'obs-text in a value': ['HTTP/1.1 200 OK\r\nX-A: \xe4\xf6\r\nContent-Length: 4\r\n\r\nfine', 200],
    'a thousand coded layers named': [
      `HTTP/1.1 200 OK\r\nContent-Encoding: ${'gzip,'.repeat(999)}gzip\r\nContent-Length: 4\r\n\r\nfine`,
      200
    ],
    'a head of 60 KiB': [
      `HTTP/1.1 200 OK\r\n${`X-A: ${'a'.repeat(990)}\r\n`.repeat(60)}Content-Length: 4\r\n\r\nfine`,
      200
    ]
  }
  for (const [name, [bytes, status]] of Object.entries(cases)) {
    const { gateway } = await startBad(t, bytes)
    const client = await openClient(t, gateway.port)
    client.send(get('/public/bad'))
    t.match(await client.response(), { status, body: 'fine' }, name)
  }
})

test('U02 a request is tried as often as configured, and not once more', async (t) => {
  const unavailable = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nbusy'
  const count = async (
    retries: Record<string, unknown>,
    method: string,
    bytes: string | ((s: Socket) => void),
    body = ''
  ) => {
    const { gateway, upstream } = await startBad(t, bytes, { retries })
    const client = await openClient(t, gateway.port)
    const length = body === '' ? '' : `Content-Length: ${body.length}${CRLF}`
    const start = performance.now()
    client.send(`${method} /public/bad HTTP/1.1${CRLF}Host: a.example${CRLF}${length}${CRLF}${body}`)
    const { status } = await client.response(method)
    t.ok(performance.now() - start < 1_000, 'Retry-After of an upstream is for the client, not for us')
    return { status, asked: upstream.heads.length }
  }
  t.same(await count({ attempts: 5 }, 'GET', unavailable), { status: 503, asked: 1 }, 'not unless asked for')
  t.same(await count({ attempts: 2, on: ['connect', '503'] }, 'GET', unavailable), { status: 503, asked: 3 })
  t.same(await count({ attempts: 2, on: ['502'] }, 'GET', unavailable), { status: 503, asked: 1 })
  t.same(
    await count({ attempts: 2, on: ['503'] }, 'POST', unavailable),
    { status: 503, asked: 1 },
    'POST may have acted'
  )
  t.same(
    await count({ attempts: 2, on: ['503'] }, 'PUT', unavailable, 'body'),
    { status: 503, asked: 1 },
    'the body is gone'
  )
  t.same(await count({ attempts: 2, on: ['reset'] }, 'GET', (s) => s.resetAndDestroy()), { status: 502, asked: 3 })
  t.same(await count({ attempts: 2, on: ['reset'] }, 'POST', (s) => s.resetAndDestroy()), { status: 502, asked: 1 })
  t.same(await count({ attempts: 2, on: ['connect'] }, 'GET', (s) => s.resetAndDestroy()), { status: 502, asked: 1 })
  t.same(await count({ attempts: 0, on: ['connect', 'reset', '503'] }, 'GET', unavailable), { status: 503, asked: 1 })
})

test('U03 answers that were tried again after leave no connection behind', async (t) => {
  const big = 'x'.repeat(200_000)
  const unavailable = `HTTP/1.1 503 Service Unavailable\r\nContent-Length: ${big.length}\r\n\r\n${big}`
  // 160 large answers at once: how long they take is not the question.
  const timeouts = { connect: '10s', response: '10s', idle: '10s' }
  const { gateway, upstream } = await startBad(t, unavailable, { timeouts, retries: { attempts: 3, on: ['503'] } })
  const answers = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const response = await gateway.call('/public/bad')
      return `${response.status} ${(await response.text()).length}`
    })
  )
  t.same(new Set(answers), new Set(['503 200000']))
  t.equal(upstream.heads.length, 160)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  t.equal(await (await gateway.call('/public/good')).text(), 'good')
})

test('U01 a certificate that cannot be verified is 502, unless the configuration says to skip that', async (t) => {
  const certificates = hasOpenssl(t)
  if (!certificates) return
  const right = certificates.make('right', 'IP:127.0.0.1')
  const wrong = certificates.make('wrong', 'DNS:other.example')
  const ask = async (server: typeof right, tls: Record<string, unknown>) => {
    const upstream = await startRawUpstream(t, (socket) => socket.write(GOOD), { cert: server.cert, key: server.key })
    const gateway = await buildTestGateway(t, upstream.url, {
      config: { upstreams: { app: { targets: [{ url: upstream.url }], tls } } }
    })
    const response = await gateway.call('/public/x')
    const text = await response.text()
    t.notMatch(text, new RegExp(`127\\.0\\.0\\.1|${upstream.port}|other\\.example`))
    if (response.status !== 200) t.equal(upstream.heads.length, 0, 'nothing was sent')
    return `${response.status} ${response.status === 200 ? text : JSON.parse(text).code}`
  }
  t.equal(await ask(right, {}), '502 upstream_unreachable', 'self-signed')
  t.equal(await ask(right, { ca: right.cert }), '200 good')
  t.equal(await ask(right, { ca: wrong.cert }), '502 upstream_unreachable', 'of another authority')
  t.equal(await ask(wrong, { ca: wrong.cert }), '502 upstream_unreachable', 'for another host')
  t.equal(await ask(wrong, { ca: wrong.cert, serverName: 'other.example' }), '200 good')
  t.equal(await ask(right, { ca: right.cert, serverName: 'other.example' }), '502 upstream_unreachable')
  t.equal(await ask(wrong, { insecureSkipVerify: true }), '200 good')
})

test('U01 a target that speaks no TLS, or stops in the middle of it, is answered in time', async (t) => {
  const plain = await startUpstream(t)
  const silent = await startRawUpstream(t, () => {})
  for (const [port, status, code] of [
    [plain.port, 502, 'upstream_unreachable'],
    [silent.port, 504, 'upstream_timeout']
  ] as const) {
    const url = `https://127.0.0.1:${port}`
    const gateway = await buildTestGateway(t, url, {
      config: { upstreams: { app: { targets: [{ url }], timeouts: { connect: '200ms' }, retries: { attempts: 0 } } } }
    })
    const start = performance.now()
    const response = await gateway.call('/public/x')
    t.equal(response.status, status)
    t.match(await response.json(), { code })
    t.ok(performance.now() - start < 2_000)
  }
})

test('U04 a target that takes no connections is 504 at the connect timeout, and the next one is asked', async (t) => {
  const hole = await startBlackHole(t)
  const upstream = await startRawUpstream(t, (socket) => socket.write(GOOD))
  const ask = async (attempts: number) => {
    const targets = [{ url: `http://127.0.0.1:${hole}` }, { url: upstream.url }]
    const gateway = await buildTestGateway(t, upstream.url, {
      config: { upstreams: { app: { targets, timeouts: { connect: '200ms' }, retries: { attempts } } } }
    })
    const start = performance.now()
    const response = await gateway.call('/public/x')
    t.notMatch(await response.text(), /127\.0\.0\.1/)
    const took = performance.now() - start
    t.ok(took > 150 && took < 1_500, `${took} ms`)
    return response.status
  }
  t.equal(await ask(0), 504)
  t.equal(await ask(1), 200)
})

/** A port whose queue of connections is full: the kernel does not answer any more. */
async function startBlackHole(t: Test): Promise<number> {
  const child = spawn(process.execPath, [
    '-e',
    `const s = require('net').createServer(); s.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('fs').writeSync(1, String(s.address().port)); process.kill(process.pid, 'SIGSTOP') })`
  ])
  t.teardown(() => child.kill('SIGKILL'))
  const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
  const isConnected = () =>
    new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true))
      socket.on('error', () => {})
      t.teardown(() => socket.destroy())
      setTimeout(() => resolve(socket.readyState === 'open'), 100)
    })
  for (let count = 0; count < 10; count++) if (!(await isConnected())) return port
  throw new Error('the queue does not fill up')
}
