/** Bytes and framing between client and upstream. */
import { connect, type Socket } from 'node:net'
import { type Test, test } from 'tap'
import { buildTestGateway } from '../support/gateway.ts'
import { get, openClient } from '../support/raw-client.ts'
import { ok, startRawUpstream } from '../support/raw-upstream.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'

const CRLF = '\r\n'
const BYTES = Buffer.from(Array.from({ length: 128 }, (_, index) => 0x80 + index)).toString('latin1')
const FILE_NAME = `attachment; filename="${Buffer.from('报表.xlsx').toString('latin1')}"`

/** A gateway before an upstream that answers every request with these bytes. */
async function setup(t: Test, answer: string | ((socket: Socket, head: string) => void), config: object = {}) {
  const upstream = await startRawUpstream(t, (socket, head) => {
    if (typeof answer === 'string') socket.write(answer, 'latin1')
    else answer(socket, head)
  })
  const gateway = await buildTestGateway(t, upstream.url, { config: { ...config } })
  return { upstream, gateway }
}

const answerOf = (...lines: string[]) => [`HTTP/1.1 200 OK`, ...lines, '', 'k'].join(CRLF)

test('any byte from 0x80 on passes in any response header, in any order', async (t) => {
  const length = 'Content-Length: 1'
  const orders: Record<string, string[]> = {
    'length first': [length, `Content-Disposition: ${FILE_NAME}`],
    'length last': [`Content-Disposition: ${FILE_NAME}`, length],
    'between others': [`X-A: ${BYTES}`, length, `content-disposition: ${FILE_NAME}`, `X-B: ${BYTES}`],
    'all bytes': [length, `Content-Disposition: inline; filename="${BYTES}"`]
  }
  for (const [name, lines] of Object.entries(orders)) {
    const { gateway } = await setup(t, answerOf(...lines))
    const client = await openClient(t, gateway.port)
    for (const method of ['GET', 'HEAD']) {
      client.send(get('/public/x').replace('GET', method))
      const answer = await client.response(method)
      t.equal(answer.status, 200, `${name}, ${method}`)
      t.equal(answer.headers['content-length'], '1')
      for (const line of lines) {
        const [field = '', value = ''] = line.split(/: (.*)/s)
        t.equal(answer.headers[field.toLowerCase()], value)
      }
    }
  }
})

test('a header that a route sets does not change the bytes of the others', async (t) => {
  const routes = [
    { path: '/public', upstream: 'app', auth: 'public', responseHeaders: { set: { 'X-Set': 'a' }, remove: ['x-a'] } }
  ]
  const { gateway } = await setup(t, answerOf('Content-Length: 1', 'X-A: b', `Content-Disposition: ${FILE_NAME}`), {
    routes
  })
  const client = await openClient(t, gateway.port)
  client.send(get('/public/x'))
  const { status, headers } = await client.response()
  t.equal(status, 200)
  t.match(headers, { 'content-disposition': FILE_NAME, 'x-set': 'a' })
  t.notHas(headers, 'x-a')
})

test('an unrequested 100 or 102 is skipped, however it is cut', async (t) => {
  const answer = ok('late')
  const before = [
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\nHTTP/1.1 100 \r\n\r\n',
    'HTTP/1.1 102 Processing\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'
  ]
  for (const interim of before) {
    for (const size of [1, 7, 13, 1_000]) {
      const { gateway, upstream } = await setup(t, async (socket) => {
        const bytes = interim + answer
        for (let start = 0; start < bytes.length; start += size) {
          socket.write(bytes.slice(start, start + size))
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      const client = await openClient(t, gateway.port)
      for (let count = 0; count < 2; count++) {
        client.send(get('/public/x'))
        t.match(await client.response(), { status: 200, body: 'late' }, JSON.stringify([interim, size]))
      }
      t.equal(upstream.accepted, 1, 'the connection is kept')
    }
  }
})

test('103 Early Hints reach a client of HTTP/1.1, and no client of HTTP/1.0', async (t) => {
  const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\nX-OpenId: forged\r\n\r\n'
  const { gateway } = await setup(t, (socket) => {
    socket.write(hints)
    idle().then(() => socket.write(ok('late')))
  })
  const raw = await gateway.raw(get('/public/x', undefined, 'Connection: close\r\n'))
  t.match(raw, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/style\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  const old = await gateway.raw(get('/public/x').replace('HTTP/1.1', 'HTTP/1.0'))
  t.match(old, /^HTTP\/1\.1 200 OK\r\n/)
})

test('a response that is chunked twice, or chunked in HTTP/1.0, is refused', async (t) => {
  const bad = [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'HTTP/1.0 200 OK\r\nContent-Type: a/b\r\ntransfer-encoding: identity\r\n\r\nok'
  ]
  for (const bytes of bad) {
    const { gateway } = await setup(t, bytes)
    const response = await gateway.call('/public/x')
    t.match(await response.json(), { status: 502, code: 'upstream_invalid' }, bytes)
  }
  const { gateway } = await setup(t, (socket) => socket.end('HTTP/1.0 200 OK\r\nX-A: b\r\n\r\nfine'))
  t.equal(await (await gateway.call('/public/x')).text(), 'fine')
})

test('a 426 keeps its Upgrade header, and another status does not', async (t) => {
  const { gateway } = await setup(t, (socket, head) => {
    const status = head.includes('/426') ? '426 Upgrade Required' : '200 OK'
    socket.write(`HTTP/1.1 ${status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n`)
  })
  const client = await openClient(t, gateway.port)
  client.send(get('/public/426'))
  t.match(await client.response(), { status: 426, headers: { upgrade: 'websocket', connection: /Upgrade/ } })
  client.send(get('/public/200'))
  const { status, headers } = await client.response()
  t.equal(status, 200)
  t.notHas(headers, 'upgrade')
})

test('the body of a GET is dropped with its type, or passed where the route allows it', async (t) => {
  const routes = [
    { path: '/plain', upstream: 'app', auth: 'public' },
    { path: '/allowed', upstream: 'app', auth: 'public', allow: { getBody: true } }
  ]
  const { gateway, upstream } = await setup(
    t,
    (socket, head) => void socket.write(ok(head.includes('content-length: 2') ? 'body' : 'none')),
    { routes }
  )
  const client = await openClient(t, gateway.port)
  const ask = async (path: string) => {
    client.send(`${get(path, undefined, 'Content-Type: a/b\r\nContent-Encoding: br\r\nContent-Length: 2\r\n')}{}`)
    t.equal((await client.response()).status, 200)
    return upstream.heads.at(-1) ?? ''
  }
  t.notMatch(await ask('/plain'), /content-/i)
  const passed = await ask('/allowed')
  t.match(passed, /content-type: a\/b/i)
  t.match(passed, /content-length: 2/i)
})

test('a request of HTTP/1.0 without Host goes upstream without X-Forwarded-Host', async (t) => {
  const { gateway, upstream } = await setup(t, ok('k'))
  t.match(await gateway.raw('GET /public/x HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /)
  t.notMatch(upstream.heads[0], /x-forwarded-host/i)
})

test('a client that is gone before its connection is accepted costs nothing, and no request lacks the address of its client', async (t) => {
  for (const fastLane of [true, false]) {
    const server = { host: '127.0.0.1', port: 1, fastLane }
    const { gateway, upstream } = await setup(t, ok('k'), { server })
    const send = () =>
      new Promise<void>((resolve) => {
        const socket = connect(gateway.port, '127.0.0.1', () => {
          // The bytes are on their way before the gateway runs again.
          socket.write(get('/public/gone'))
          socket.resetAndDestroy()
          resolve()
        })
        socket.on('error', () => resolve())
      })
    await Promise.all(Array.from({ length: 50 }, send))
    await until(() => gateway.gateway.active === 0)
    t.equal((await gateway.call('/public/x')).status, 200)
    // The gateway accepts one connection in a turn, and may read the request of an accepted one.
    t.ok(upstream.heads.length < 25, `${upstream.heads.length} requests were forwarded`)
    for (const head of upstream.heads) t.match(head, /x-forwarded-for: 127\.0\.0\.1/i)
  }
})
