/** An upstream that breaks the rules of HTTP/1.1 harms no request but its own. The corpus of the
 *  self-test has the malformed answers, response-parser.test.ts the parser alone. */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { type Test, test } from 'tap'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { get, openClient } from '../support/raw-client.ts'
import { ok, type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'

const GOOD = ok('good')
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
/** Bytes that the gateway reads at once. */
const READ_BYTES = 64 * 1024

interface Hostile {
  readonly gateway: TestGateway
  readonly upstream: RawUpstream
  /** Answers of paths that end in `/bad`. Other paths get GOOD. */
  answer: (socket: Socket, head: string) => void
}

async function startHostile(t: Test, options: Record<string, unknown> = {}): Promise<Hostile> {
  const hostile = { answer: (_socket: Socket, _head: string) => {} }
  const upstream = await startRawUpstream(t, (socket, head) => {
    if (/ \S*\/bad /.test(head)) hostile.answer(socket, head)
    else socket.write(GOOD)
  })
  const timeouts = { connect: '1s', response: '1s', idle: '1s' }
  const app = { targets: [{ url: upstream.url }], timeouts, retries: { attempts: 0 }, ...options }
  const gateway = await buildTestGateway(t, upstream.url, { config: { upstreams: { app } } })
  return Object.assign(hostile, { gateway, upstream })
}

test('bytes behind an answer that fills a read are not the answer to a waiting request', async (t) => {
  const hostile = await startHostile(t, { connections: { max: 1 } })
  const head = 'HTTP/1.1 200 OK\r\nContent-Length: '
  for (const length of [READ_BYTES, 2 * READ_BYTES, 3 * READ_BYTES]) {
    const bodyLength = length - head.length - String(length).length - 4
    const answer = `${head}${bodyLength}\r\n\r\n${'a'.repeat(bodyLength)}`
    t.equal(answer.length, length)
    hostile.answer = (socket) => void socket.write(answer + ok('poisoned'))
    const [first, second] = await Promise.all([
      openClient(t, hostile.gateway.port),
      openClient(t, hostile.gateway.port)
    ])
    first.send(get('/public/bad'))
    second.send(get('/public/good'))
    t.equal((await first.response()).body.length, bodyLength)
    t.match(await second.response(), { status: 200, body: 'good' })
  }
})

test('bytes behind an answer over TLS, in a record of their own, are not the answer to a waiting request', async (t) => {
  const [cert, key] = ['cert', 'key'].map((part) =>
    readFileSync(new URL(`../support/fixtures/tls-${part}.pem`, import.meta.url))
  )
  const bad = (socket: Socket) => {
    socket.write(ok('first'))
    socket.write(ok('poisoned'))
  }
  const answer = (socket: Socket, head: string) => (head.includes('/bad ') ? bad(socket) : socket.write(GOOD))
  const upstream = await startRawUpstream(t, answer, { cert, key })
  const app = { targets: [{ url: upstream.url }], tls: { insecureSkipVerify: true }, connections: { max: 1 } }
  const gateway = await buildTestGateway(t, upstream.url, { config: { upstreams: { app } } })
  const [first, second] = await Promise.all([openClient(t, gateway.port), openClient(t, gateway.port)])
  for (let round = 0; round < 10; round++) {
    first.send(get('/public/bad'))
    second.send(get('/public/good'))
    t.match(await first.response(), { status: 200, body: 'first' })
    t.match(await second.response(), { status: 200, body: 'good' })
  }
})

test('a connection is not used after an answer that may be followed by a body against the rules', async (t) => {
  const hostile = await startHostile(t)
  const { gateway, upstream } = hostile
  const client = await openClient(t, gateway.port)
  for (const [method, bytes] of [
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n']
  ] as const) {
    hostile.answer = (socket) => void socket.write(bytes)
    const before = upstream.accepted
    client.send(`${method} /public/bad HTTP/1.1\r\nHost: a.example\r\n\r\n`)
    t.match(await client.response('HEAD'), { body: '' })
    client.send(get('/public/good'))
    t.match(await client.response(), { status: 200, body: 'good' })
    // The first request may use the connection of the last round.
    t.ok(upstream.accepted > before, bytes)
    await until(() => upstream.open === 1)
  }
})

test('answers that no request asked for are the answers to none', async (t) => {
  const hostile = await startHostile(t)
  const { gateway, upstream } = hostile
  hostile.answer = (socket) => {
    socket.write(ok('first'), () => void idle().then(() => socket.write(ok('second') + ok('third'))))
  }
  for (let round = 0; round < 5; round++) {
    t.equal(await (await gateway.call('/public/bad')).text(), 'first')
    await until(() => upstream.open === 0)
    t.equal(await (await gateway.call('/public/good')).text(), 'good')
  }
})

test('chunks of a byte each reach a slow client as a stream with backpressure', async (t) => {
  const hostile = await startHostile(t)
  const count = 100_000
  const warnings: string[] = []
  const onWarning = (warning: Error) => void warnings.push(warning.message)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  hostile.answer = (socket) => void socket.write(`${CHUNKED}${'1\r\na\r\n'.repeat(count)}0\r\n\r\n`)
  const client = await openClient(t, hostile.gateway.port)
  client.socket.pause()
  client.send(get('/public/bad'))
  await until(() => hostile.upstream.heads.length === 1)
  await idle()
  client.socket.resume()
  t.equal((await client.response()).body, 'a'.repeat(count))
  t.same(warnings, [])
})

test('a limited number of interim answers precedes an answer', async (t) => {
  const hostile = await startHostile(t)
  const { gateway, upstream } = hostile
  hostile.answer = (socket) => void socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(20_000))
  const response = await gateway.call('/public/bad')
  t.equal(response.status, 502)
  t.match(await response.json(), { code: 'upstream_invalid' })
  t.match(gateway.lines.at(-1), 'HTTP_INTERIM')
  await until(() => upstream.open === 0)
})

test('an interim answer that ends the connection is no prelude to an answer', async (t) => {
  const hostile = await startHostile(t)
  hostile.answer = (socket) => void socket.write(`HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n${GOOD}`)
  t.equal((await hostile.gateway.call('/public/bad')).status, 502)
})

test('an upstream that closes its side in the middle is never taken for one that is done', async (t) => {
  const hostile = await startHostile(t)
  /** The body, the status of a refusal, or the empty string for a broken connection. */
  const ask = async (bytes: string) => {
    hostile.answer = (socket) => void socket.end(bytes)
    try {
      const response = await hostile.gateway.call('/public/bad')
      return response.status === 200 ? await response.text() : response.status
    } catch {
      return ''
    }
  }
  for (const bytes of ['', 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 103 Early Hints\r\n\r\n']) t.equal(await ask(bytes), 502)
  for (const bytes of [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ngood',
    CHUNKED,
    `${CHUNKED}4\r\ngood\r\n`,
    `${CHUNKED}4\r\ngood\r\n0\r\n`,
    `${CHUNKED}4\r\ngood\r\n0\r\nX-T: a\r\n`
  ])
    t.ok(['', 502].includes(await ask(bytes)), bytes)
  t.equal(await ask(`${CHUNKED}4\r\ngood\r\n0\r\n\r\n`), 'good')
  t.equal(await ask('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\ngood'), 'good')
})

test('an answer reaches a client that is still sending, though a reset follows the answer', async (t) => {
  const hostile = await startHostile(t)
  const answer = 'HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge'
  const size = 4_000_000
  const body = 'a'.repeat(size)
  const framings = [
    [`Content-Length: ${size}`, body],
    ['Transfer-Encoding: chunked', `${size.toString(16)}\r\n${body}\r\n0\r\n\r\n`]
  ]
  for (const [bytes, expected] of [
    [answer, { status: 413, body: 'large' }],
    ['', { status: 502, body: /upstream_unreachable/ }]
  ] as const) {
    hostile.answer = (socket) => {
      socket.pause()
      socket.write(bytes, () => socket.resetAndDestroy())
    }
    for (const [framing, sent] of [...framings, ...framings, ...framings]) {
      const client = await openClient(t, hostile.gateway.port)
      client.send(`POST /public/bad HTTP/1.1\r\nHost: a.example\r\n${framing}\r\n\r\n${sent}`)
      t.match(await client.response(), expected)
      client.close()
    }
  }
})

test('a WebSocket is joined after one whole 101 for it, and after nothing else', async (t) => {
  const hostile = await startHostile(t)
  const { gateway, upstream } = hostile
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  const frame = '\x81\x02hi'
  const ask = async (act: (socket: Socket) => void) => {
    hostile.answer = act
    const client = await openClient(t, gateway.port)
    client.send(
      get('/public/bad').replace(
        '\r\n\r\n',
        '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
      )
    )
    const status = (await client.head()).slice(9, 12)
    if (status === '101') await until(() => client.pending === frame)
    client.close()
    await until(() => upstream.open === 0)
    return status
  }
  const early = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
  t.equal(await ask((socket) => void socket.write(`${early}${switched}${frame}`, 'latin1')), '101')
  t.equal(
    await ask(async (socket) => {
      for (const byte of `${early}${switched}${frame}`) {
        socket.write(byte, 'latin1')
        await idle()
      }
    }),
    '101'
  )
  for (const bytes of [
    switched.replace('websocket', 'h2c'),
    switched.replace('Upgrade: websocket\r\n', ''),
    switched.replace('101', '1010'),
    `${early.replace('103', '101')}${frame}`,
    `${early.repeat(5_000)}${switched}`,
    switched.slice(0, -3)
  ])
    t.equal(await ask((socket) => void socket.end(bytes)), '502', bytes.slice(0, 100))
})

test('a connection that the server announces to close, or closes, costs no GET', async (t) => {
  const hostile = await startHostile(t)
  const { gateway, upstream } = hostile
  const head = (...lines: string[]) => ['HTTP/1.1 200 OK', 'Content-Length: 4', ...lines, '', 'good'].join('\r\n')
  const acts: readonly ((socket: Socket) => void)[] = [
    (socket) => void socket.write(head('Keep-Alive: timeout=0')),
    (socket) => void socket.write(head('Keep-Alive: timeout=1')),
    (socket) => void socket.end(head('Keep-Alive: timeout=999999999')),
    (socket) => void socket.write(head('Keep-Alive: timeout=600'), () => socket.resetAndDestroy()),
    (socket) => void socket.write(head('Connection: x, Close')),
    (socket) => void socket.write(head('Connection: close', 'Connection: keep-alive'))
  ]
  for (const act of acts) {
    hostile.answer = act
    for (let count = 0; count < 5; count++) {
      const response = await gateway.call('/public/bad')
      t.equal(`${response.status} ${await response.text()}`, '200 good')
    }
    await until(() => upstream.open === 0)
  }
})

test('an answer with many or large fields keeps no memory of the gateway', async (t) => {
  const { setFlagsFromString } = await import('node:v8')
  const { runInNewContext } = await import('node:vm')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const hostile = await startHostile(t)
  const { gateway } = hostile
  let count = 0
  const pad = `X-Pad: ${'a'.repeat(60_000)}`
  hostile.answer = (socket) => {
    const name = `X-Name-Of-This-Answer-${count++}`
    socket.write(
      `HTTP/1.1 200 OK\r\n${name}: b\r\n${pad}\r\nKeep-Alive: timeout=600, max=${count}\r\nContent-Length: 4\r\n\r\ngood`
    )
  }
  const client = await openClient(t, gateway.port)
  const used = async (answers: number) => {
    for (let index = 0; index < answers; index++) {
      client.send(get('/public/bad'))
      t.equal((await client.response()).body, 'good')
    }
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = await used(20)
  const grown = (await used(200)) - before
  // 200 heads are 12 MB.
  t.ok(grown < 5_000_000, `${grown} bytes`)
})
