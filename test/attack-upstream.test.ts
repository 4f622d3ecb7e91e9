/** Upstreams that fail in time, over TLS or over several attempts. The corpus of the self-test
 *  (selftest.test.ts) has the malformed answers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { hasOpenssl } from './support/certificates.ts'
import { buildTestGateway, type TestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { get, openClient } from './support/raw-client.ts'
import { ok, type RawUpstream, startRawUpstream } from './support/raw-upstream.ts'
import { idle } from './support/timers.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const CRLF = '\r\n'
const GOOD = ok('good')

const head = (...lines: string[]) => ['HTTP/1.1 200 OK', ...lines, '', ''].join(CRLF)

interface Bad {
  readonly gateway: TestGateway
  readonly upstream: RawUpstream
}

/** An upstream that answers `/public/bad` with `bytes`, or by the function, and every other
 *  path with GOOD. */
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
  const { timeouts = { connect: '1s', response: '1s', idle: '1s' }, retries = { attempts: 0 } } = options
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { upstreams: { app: { targets: [{ url: upstream.url }], timeouts, retries } } }
  })
  return { gateway, upstream }
}

/** Requests the bad answer and then, on the same connection, good ones. */
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
  t.notMatch(JSON.stringify(answer), new RegExp(`127\\.0\\.0\\.1|:${upstream.port}|ECONN|UND_ERR|at /`))
  for (let count = 0; count < 3; count++) {
    client.send(get('/public/good'))
    t.match(await client.response(), { status: 200, body: 'good' }, 'the client continues on the same connection')
  }
  // No request counts as running, and no connection to the upstream is left open.
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  await until(() => upstream.open <= 2 || upstream.accepted > 20)
}

test('an answer that is not valid HTTP is 502 upstream_invalid, without the address, and the connection goes on', async (t) => {
  let bytes = ''
  const bad = await startBad(t, (socket) => void socket.write(bytes))
  for (bytes of [
    'HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/0.9 200 OK\r\n\r\n',
    'ICY 200 OK\r\n\r\n',
    `${head('Content-Length: x')}ok`,
    `${head('X A: b', 'Content-Length: 2')}ok`
  ])
    await expectProblem(t, bad, 502, 'upstream_invalid')
})

test('a refused connection is 502 upstream_unreachable, without the address', async (t) => {
  const port = await freePort()
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`)
  const client = await openClient(t, gateway.port)
  for (let count = 0; count < 3; count++) {
    client.send(get('/public/x'))
    const answer = await client.response()
    t.equal(answer.status, 502)
    t.equal(JSON.parse(answer.body).code, 'upstream_unreachable')
    t.notMatch(JSON.stringify(answer), new RegExp(`127\\.0\\.0\\.1|:${port}|ECONNREFUSED`))
  }
  t.match(gateway.lines.at(-1), '"status":502')
  t.match(gateway.lines.at(-1), '"reason":"upstream_unreachable:ECONNREFUSED"')
})

test('a silent upstream is 504 at the response timeout', async (t) => {
  const bad = await startBad(t, () => {})
  for (const method of ['GET', 'HEAD', 'DELETE']) await expectProblem(t, bad, 504, 'upstream_timeout', method)
})

test('a head sent byte by byte is 504 at the response timeout, not one timeout per byte', async (t) => {
  const bad = await startBad(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nX-A: ')
    const timer = setInterval(() => socket.write('a'), 50)
    socket.on('close', () => clearInterval(timer))
  })
  await expectProblem(t, bad, 504, 'upstream_timeout')
})

test('an endless series of 1xx does not keep a request alive beyond its time', async (t) => {
  let status = ''
  const bad = await startBad(t, (socket) => {
    const timer = setInterval(() => socket.write(`HTTP/1.1 ${status}\r\nLink: </a>\r\n\r\n`), 20)
    socket.on('close', () => clearInterval(timer))
  })
  for (status of ['103 Early Hints', '102 Processing', '199 What']) await expectProblem(t, bad, 504, 'upstream_timeout')
})

test('a body that breaks off after its head was sent ends the client connection, so that it never looks complete', async (t) => {
  const cases: Record<string, (socket: Socket) => void> = {
    'short Content-Length': (socket) =>
      socket.write(`${head('Content-Length: 100')}half`, () => void idle().then(() => socket.end())),
    'reset in the body': (socket) =>
      socket.write(`${head('Content-Length: 100')}half`, () => void idle().then(() => socket.resetAndDestroy())),
    'chunks without an end': (socket) =>
      socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () => void idle().then(() => socket.end())),
    'a malformed chunk': (socket) =>
      socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () =>
        idle().then(() => socket.write('zz\r\nmore\r\n'))
      ),
    'a body that stops (idle)': (socket) => socket.write(`${head('Content-Length: 100')}half`)
  }
  let breakOff: (socket: Socket) => void = () => {}
  const { gateway, upstream } = await startBad(t, (socket) => breakOff(socket))
  for (const [name, act] of Object.entries(cases)) {
    await t.test(name, async (t) => {
      breakOff = act
      const truncated = () => gateway.lines.filter((line) => line.includes('upstream_truncated')).length
      const before = truncated()
      const client = await openClient(t, gateway.port)
      client.send(get('/public/bad'))
      await t.rejects(client.response())
      t.match(client.pending, /^HTTP\/1\.1 200/)
      t.match(client.pending, 'half')
      t.notMatch(client.pending, '0\r\n\r\n', 'no end was invented')
      t.notMatch(client.pending, 'problem')
      await until(() => truncated() === before + 1)
      const next = await openClient(t, gateway.port)
      next.send(get('/public/good'))
      t.match(await next.response(), { status: 200, body: 'good' })
      await until(() => upstream.open <= 2)
    })
  }
})

test('half a body resets the connection of an HTTP/1.0 client', async (t) => {
  const { gateway } = await startBad(t, (socket) =>
    socket.write(`${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`, () => void idle().then(() => socket.end()))
  )
  const client = await openClient(t, gateway.port)
  const broken = once(client.socket, 'error')
  client.send(get('/public/bad').replace('HTTP/1.1', 'HTTP/1.0'))
  t.match(await broken, [{ code: 'ECONNRESET' }])
  t.match(client.pending, /^HTTP\/1\.1 200 .*half$/s)
})

test('a body that is cut short at once is never passed on as complete', async (t) => {
  let bytes = ''
  const { gateway } = await startBad(t, (socket) => socket.end(bytes))
  for (bytes of [`${head('Content-Length: 100')}half`, `${head('Transfer-Encoding: chunked')}4\r\nhalf\r\n`]) {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/bad'))
    const outcome = await client.response().catch(() => null)
    // The head may have been sent before the end was known.
    if (outcome) t.match(outcome, { status: 502, body: /upstream_unreachable/ })
    else t.ok(client.isClosed)
    t.equal(await (await gateway.call('/public/good')).text(), 'good')
  }
})

test('bytes that arrive a moment after an answer are not the answer to the next request', async (t) => {
  let isPoisoned = false
  const { gateway } = await startBad(t, (socket) => {
    socket.write(ok('first'))
    idle().then(() => {
      isPoisoned = socket.write(ok('poisoned'))
    })
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

test('a body on the answer to HEAD does not become the next answer', async (t) => {
  const { gateway } = await startBad(t, ok('body of a HEAD'))
  const client = await openClient(t, gateway.port)
  client.send('HEAD /public/bad HTTP/1.1\r\nHost: a.example\r\n\r\n')
  const answer = await client.response('HEAD')
  t.equal(answer.status, 200)
  t.equal(answer.headers['content-length'], '14')
  client.send(get('/public/good'))
  t.match(await client.response(), { status: 200, body: 'good' })
})

test('a request is tried as often as configured, and not once more', async (t) => {
  const unavailable = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 60\r\nContent-Length: 4\r\n\r\nbusy'
  interface Case {
    readonly retries: Record<string, unknown>
    readonly method: string
    readonly act: (socket: Socket) => void
    readonly body?: string
    readonly expected: { readonly status: number; readonly asked: number }
  }
  const busy = (socket: Socket) => void socket.write(unavailable)
  const reset = (socket: Socket) => void socket.resetAndDestroy()
  const cases: readonly Case[] = [
    // 503 is no default.
    { retries: { attempts: 5 }, method: 'GET', act: busy, expected: { status: 503, asked: 1 } },
    { retries: { attempts: 2, on: ['connect', '503'] }, method: 'GET', act: busy, expected: { status: 503, asked: 3 } },
    { retries: { attempts: 2, on: ['502'] }, method: 'GET', act: busy, expected: { status: 503, asked: 1 } },
    // A POST may have taken effect.
    { retries: { attempts: 2, on: ['503'] }, method: 'POST', act: busy, expected: { status: 503, asked: 1 } },
    // The body cannot be repeated.
    { retries: { attempts: 2, on: ['503'] }, method: 'PUT', act: busy, body: 'b', expected: { status: 503, asked: 1 } },
    { retries: { attempts: 2, on: ['reset'] }, method: 'GET', act: reset, expected: { status: 502, asked: 3 } },
    { retries: { attempts: 2, on: ['reset'] }, method: 'POST', act: reset, expected: { status: 502, asked: 1 } },
    { retries: { attempts: 2, on: ['connect'] }, method: 'GET', act: reset, expected: { status: 502, asked: 1 } },
    {
      retries: { attempts: 0, on: ['connect', 'reset', '503'] },
      method: 'GET',
      act: busy,
      expected: { status: 503, asked: 1 }
    }
  ]
  const upstream = await startRawUpstream(t, (socket, head) => {
    cases[Number(/ \/(\d+) /.exec(head)?.[1])]?.act(socket)
  })
  const targets = [{ url: upstream.url }]
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      // Upstreams with the same connect timeout would share connections, and a reset of a kept one
      // costs no attempt.
      upstreams: Object.fromEntries(
        cases.map(({ retries }, index) => [`u${index}`, { targets, retries, timeouts: { connect: `${5 + index}s` } }])
      ),
      routes: cases.map((_, index) => ({ path: `/${index}`, upstream: `u${index}`, auth: 'public' }))
    }
  })
  for (const [index, { method, body = '', expected }] of cases.entries()) {
    const before = upstream.heads.length
    const client = await openClient(t, gateway.port)
    const length = body === '' ? '' : `Content-Length: ${body.length}${CRLF}`
    client.send(`${method} /${index} HTTP/1.1${CRLF}Host: a.example${CRLF}${length}${CRLF}${body}`)
    const { status } = await client.response(method)
    t.same({ status, asked: upstream.heads.length - before }, expected, `case ${index}`)
  }
})

test('dropped answers of earlier attempts leave no connection open', async (t) => {
  const big = 'x'.repeat(200_000)
  const unavailable = `HTTP/1.1 503 Service Unavailable\r\nContent-Length: ${big.length}\r\n\r\n${big}`
  // 160 large answers at once need time on a small machine.
  const timeouts = { connect: '10s', response: '10s', idle: '10s' }
  const { gateway, upstream } = await startBad(t, unavailable, {
    timeouts,
    retries: { attempts: 3, on: ['503'], budget: '100%' }
  })
  const answers = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const response = await gateway.call('/public/bad')
      return `${response.status} ${(await response.text()).length}`
    })
  )
  t.same(new Set(answers), new Set(['503 200000']))
  t.ok(upstream.heads.length > 40, 'requests were tried again')
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  t.equal(await (await gateway.call('/public/good')).text(), 'good')
})

test('a certificate that cannot be verified is 502, unless insecureSkipVerify is set', async (t) => {
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
    t.notMatch(text, new RegExp(`127\\.0\\.0\\.1|:${upstream.port}|other\\.example`))
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

test('a target without TLS, or one that stops in the handshake, is answered in time', async (t) => {
  const plain = await startUpstream(t)
  const silent = await startRawUpstream(t, () => {})
  for (const [port, status, code] of [
    [plain.port, 502, 'upstream_unreachable'],
    [silent.port, 504, 'upstream_timeout']
  ] as const) {
    const url = `https://127.0.0.1:${port}`
    const gateway = await buildTestGateway(t, url, {
      config: { upstreams: { app: { targets: [{ url }], timeouts: { connect: '1s' }, retries: { attempts: 0 } } } }
    })
    const response = await gateway.call('/public/x')
    t.equal(response.status, status)
    t.match(await response.json(), { code })
  }
})

test('a target that accepts no connections is 504 at the connect timeout, and the next one is tried', async (t) => {
  const hole = await startBlackHole(t)
  const upstream = await startRawUpstream(t, (socket) => socket.write(GOOD))
  const ask = async (attempts: number) => {
    const targets = [{ url: `http://127.0.0.1:${hole}` }, { url: upstream.url }]
    const gateway = await buildTestGateway(t, upstream.url, {
      config: { upstreams: { app: { targets, timeouts: { connect: '1s' }, retries: { attempts } } } }
    })
    const response = await gateway.call('/public/x')
    t.notMatch(await response.text(), /127\.0\.0\.1/)
    return response.status
  }
  t.equal(await ask(0), 504)
  t.equal(await ask(1), 200)
})

/** A port whose accept queue is full: the kernel drops further connections. */
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
      setTimeout(() => resolve(socket.readyState === 'open'), 500)
    })
  for (let count = 0; count < 10; count++) if (!(await isConnected())) return port
  throw new Error('the queue does not fill up')
}
