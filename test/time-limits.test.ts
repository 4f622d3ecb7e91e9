/** Time limits: a slow, silent or greedy client gets a clear answer or a closed connection, and
 *  takes nothing from others. */
import { connect, type Socket } from 'node:net'
import { t as tap, test } from 'tap'
import { createPeerCounts } from '../src/http/connections.ts'
import { countConnections, untilConnections } from './support/connections.ts'
import { buildTestGateway } from './support/gateway.ts'
import { startServer } from './support/listen.ts'
import { get, openClient, type RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const CRLF = '\r\n'

/** For tests that only wait: they wait together, behind those that a busy process would disturb. */
const WAITING = { buffered: true }
tap.jobs = 4

function limits(values: Record<string, string | number>, more: Record<string, unknown> = {}) {
  return {
    config: {
      server: {
        host: '127.0.0.1',
        port: 1,
        drain: { delay: '1ms', timeout: '1s' },
        loginLimit: { max: 100_000, window: '1m' },
        limits: values
      },
      ...more
    }
  }
}

/** Writes `bytes` one by one, `pause` ms apart, until the connection is closed. */
function drip(client: RawClient, bytes: string, pause: number): void {
  let index = 0
  const timer = setInterval(() => {
    if (client.isClosed || index >= bytes.length) clearInterval(timer)
    else client.send(bytes[index++] ?? '')
  }, pause)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

test('a body of an own endpoint that breaks off into garbage is logged as refused', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const head = `POST /auth/login HTTP/1.1${CRLF}Host: a${CRLF}Content-Type: application/json${CRLF}`
  const client = await openClient(t, gateway.port)
  client.send(`${head}Transfer-Encoding: chunked${CRLF}${CRLF}7${CRLF}{"code"${CRLF}no size${CRLF}`)
  t.equal((await client.response()).status, 400)
  await until(() => gateway.lines.some((line) => line.includes('"msg":"request"')))
  const line = gateway.lines.find((text) => text.includes('"msg":"request"')) ?? '{}'
  t.match(JSON.parse(line), { status: 400, granted: false, reason: 'bad_header' })
})

test('a slow but steady body has no time limit', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(
    t,
    upstream.url,
    limits({ bodyIdleTimeout: '2s', headersTimeout: '2s', writeIdleTimeout: '2s' })
  )
  const client = await openClient(t, gateway.port)
  client.send(`POST /public/x HTTP/1.1${CRLF}Host: a${CRLF}Content-Length: 12${CRLF}${CRLF}`)
  // Longer than each limit as a whole; a busy machine may hold up a byte for most of a limit.
  drip(client, 'twelve bytes', 200)
  t.equal((await client.response()).status, 200)
  t.equal(upstream.seen[0]?.body, 'twelve bytes')
})

test('a body that waits for the upstream does not count as slow', async (t) => {
  const url = await startServer(t, (req, res) => {
    setTimeout(() => {
      req.resume()
      req.on('end', () => res.end('read'))
    }, 3_000)
  })
  const gateway = await buildTestGateway(
    t,
    url,
    limits({ bodyIdleTimeout: '2s', writeIdleTimeout: '2s', body: '20mb' })
  )
  const answer = await gateway.call('/public/x', { method: 'POST', body: 'x'.repeat(15_000_000) })
  t.equal(await answer.text(), 'read')
})

test('a client that never reads is disconnected, and the upstream connection with it', async (t) => {
  let open = 0
  const url = await startServer(t, (_req, res) => {
    open++
    res.on('close', () => open--)
    const block = Buffer.alloc(1024 * 1024, 'x')
    const write = () => {
      while (!res.destroyed) if (!res.write(block)) return void res.once('drain', write)
    }
    write()
  })
  const gateway = await buildTestGateway(t, url, limits({ writeIdleTimeout: '300ms' }))
  const clients = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const client = await openClient(t, gateway.port)
      client.socket.pause()
      client.send(get('/public/x'))
      return client
    })
  )
  await until(() => open === 5)
  await until(() => open === 0)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  for (const client of clients) client.socket.resume()
  await Promise.all(clients.map((client) => client.closed))
})

test('a client that sends without ever reading is disconnected too', async (t) => {
  const big = 'x'.repeat(200_000)
  const url = await startServer(t, (_req, res) => res.end(big))
  const gateway = await buildTestGateway(t, url, limits({ writeIdleTimeout: '300ms' }))
  const client = connect(gateway.port, '127.0.0.1')
  client.on('error', () => {})
  client.pause()
  client.write(get('/public/x').repeat(200))
  t.teardown(() => client.destroy())
  await untilConnections(gateway.port, (count) => count === 1)
  await untilConnections(gateway.port, (count) => count === 0)
})

test('a client that reads slowly gets the whole answer', async (t) => {
  const size = 6 * 1024 * 1024
  const url = await startServer(t, (_req, res) => res.end(Buffer.alloc(size, 'x')))
  const gateway = await buildTestGateway(t, url, limits({ writeIdleTimeout: '2s' }))
  const client = await openClient(t, gateway.port)
  let taken = 0
  client.socket.on('data', (chunk: Buffer) => {
    taken += chunk.length
    if (taken < 512 * 1024) return
    taken = 0
    client.socket.pause()
    setTimeout(() => client.socket.resume(), 200)
  })
  client.send(get('/public/x'))
  t.equal((await client.response()).body.length, size)
})

test('a request that waits for its answer is not idle', async (t) => {
  const url = await startServer(t, (_req, res) => setTimeout(() => res.end('late'), 900))
  const gateway = await buildTestGateway(
    t,
    url,
    limits({ keepAliveTimeout: '100ms', writeIdleTimeout: '200ms', headersTimeout: '600ms' })
  )
  t.equal(await (await gateway.call('/public/x')).text(), 'late')
})

test('a connection that its client ends within a body is closed', async (t) => {
  const upstream = await startUpstream(t)
  // No limit ends a connection within this test.
  const gateway = await buildTestGateway(t, upstream.url, limits({ keepAliveTimeout: '10m', bodyIdleTimeout: '10m' }))
  for (const bytes of [
    `POST /public/x HTTP/1.1${CRLF}Host: a${CRLF}Content-Length: 50${CRLF}${CRLF}half`,
    `POST /public/x HTTP/1.1${CRLF}Host: a${CRLF}Transfer-Encoding: chunked${CRLF}${CRLF}5${CRLF}ab`,
    `POST /auth/login HTTP/1.1${CRLF}Host: a${CRLF}Content-Type: application/json${CRLF}Content-Length: 50${CRLF}${CRLF}{`
  ]) {
    const client = await openClient(t, gateway.port)
    client.socket.end(bytes)
    t.equal((await client.response()).status, 400, bytes.slice(0, 20))
    await client.closed
  }
  await untilConnections(gateway.port, (count) => count === 0)
})

test('connections are counted per peer, and an IPv6 client by its /64', (t) => {
  const counts = createPeerCounts(2)
  t.equal(counts.enter('203.0.113.1'), true)
  t.equal(counts.enter('203.0.113.1'), true)
  t.equal(counts.enter('203.0.113.1'), false)
  t.equal(counts.enter('203.0.113.2'), true, 'another peer')
  counts.leave('203.0.113.1')
  t.equal(counts.enter('203.0.113.1'), false, 'the refused one was still there')
  counts.leave('203.0.113.1')
  counts.leave('203.0.113.1')
  t.equal(counts.enter('203.0.113.1'), true)
  t.equal(counts.enter('2001:db8:1:2::1'), true)
  t.equal(counts.enter('2001:db8:1:2:ffff::9'), true)
  t.equal(counts.enter('2001:0DB8:1:2:0:0:0:3'), false)
  t.equal(counts.enter('2001:db8:1:3::1'), true)
  t.equal(counts.enter('fe80::1%eth0'), true)
  t.equal(counts.size, 5)
  for (const address of [
    '203.0.113.1',
    '203.0.113.1',
    '203.0.113.2',
    '2001:db8:1:2::1',
    '2001:db8:1:2::1',
    '2001:db8:1:2::1',
    '2001:db8:1:3::1',
    'fe80::1%eth0'
  ])
    counts.leave(address)
  t.equal(counts.size, 0, 'no state is kept of clients that left')
  t.end()
})

test('peers of this machine and trusted proxies have no limit of connections', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, limits({ connectionsPerPeer: 2 }))
  const clients = await Promise.all(Array.from({ length: 10 }, () => openClient(t, gateway.port)))
  for (const client of clients) client.send(get('/public/x'))
  for (const client of clients) t.equal((await client.response()).status, 200)
})

test('other clients get their answers beside hundreds of slow ones', async (t) => {
  const upstream = await startUpstream(
    t,
    (_req, res, seen) => void (seen.url.endsWith('big') ? res.end(Buffer.alloc(3_000_000)) : res.end('ok'))
  )
  // No slow client reaches its limit within this test.
  const gateway = await buildTestGateway(
    t,
    upstream.url,
    limits({ headersTimeout: '2m', bodyIdleTimeout: '2m', writeIdleTimeout: '2m' })
  )
  const kinds = [
    '',
    'GET /public/x HTTP/1.1\r\nHost: a\r\nX-A: ',
    'POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf',
    'POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{'
  ]
  const slow: Socket[] = []
  t.teardown(() => {
    for (const socket of slow) socket.destroy()
  })
  for (let count = 0; count < 400; count++) {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.on('error', () => {})
    // Some of them request much and never read it.
    socket.write(count % 40 === 0 ? get('/public/big') : (kinds[count % kinds.length] ?? ''))
    if (count % 40 === 0) socket.pause()
    else socket.resume()
    slow.push(socket)
    // No more at once than a listening socket queues.
    if (slow.length % 200 === 0) await untilConnections(gateway.port, (count) => count >= slow.length)
  }
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let count = 0; count < 50; count++) {
        const response = await gateway.call('/public/x')
        if (response.status !== 200 || (await response.text()) !== 'ok') t.fail(`status ${response.status}`)
      }
    })
  )
  t.ok(countConnections(gateway.port) >= slow.length, 'all of them are still there')
  for (const socket of slow) socket.destroy()
  await untilConnections(gateway.port, (count) => count < 20)
  await until(() => gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight === 0)
})

test('headers that take too long are 408, even at a steady slow rate', WAITING, async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, limits({ headersTimeout: '1s' }))
  const slow: Record<string, (client: RawClient) => void> = {
    silent: () => {},
    'a request line that stops': (client) => client.send('GET /pub'),
    'headers that stop': (client) => client.send(`GET /public/x HTTP/1.1${CRLF}Host: a${CRLF}X-A: `),
    'headers byte by byte': (client) =>
      drip(client, `GET /public/x HTTP/1.1${CRLF}Host: a${CRLF}${`X-A: b${CRLF}`.repeat(100)}`, 20)
  }
  await Promise.all(
    Object.entries(slow).map(async ([name, act]) => {
      let answer = { status: 0, body: '{}' }
      let closed: Promise<unknown> = Promise.resolve()
      const took = await timed(async () => {
        const client = await openClient(t, gateway.port)
        act(client)
        answer = await client.response()
        closed = client.closed
      })
      t.equal(answer.status, 408, name)
      t.match(JSON.parse(answer.body), { code: 'request_timeout', action: 'none' })
      t.ok(took >= 950, `${name}: ${took} ms`)
      await closed
    })
  )
  const second = await openClient(t, gateway.port)
  second.send(get('/public/x'))
  t.equal((await second.response()).status, 200)
  second.send('GET /public/x HTTP/1.1\r\nHo')
  t.equal((await second.response()).status, 408, 'the second request of a connection too')
  t.equal(upstream.seen.length, 1)
})

test(
  'a body that stops is 408, on own endpoints and on the way to an upstream, which is released',
  WAITING,
  async (t) => {
    let aborted = 0
    const url = await startServer(t, (req, res) => {
      req.resume()
      res.on('close', () => {
        if (!res.writableFinished) aborted++
      })
    })
    const gateway = await buildTestGateway(t, url, limits({ bodyIdleTimeout: '300ms' }))
    const { access_token: token } = await gateway.login('alice')
    const cases = [
      `POST /auth/login HTTP/1.1${CRLF}Host: a${CRLF}Content-Type: application/json${CRLF}Content-Length: 50${CRLF}${CRLF}{"code"`,
      `POST /auth/login HTTP/1.1${CRLF}Host: a${CRLF}Content-Type: application/json${CRLF}Transfer-Encoding: chunked${CRLF}${CRLF}7${CRLF}{"code"`,
      `POST /auth/logout HTTP/1.1${CRLF}Host: a${CRLF}Authorization: Bearer ${token}${CRLF}Content-Type: application/json${CRLF}Content-Length: 50${CRLF}${CRLF}{`,
      `POST /public/x HTTP/1.1${CRLF}Host: a${CRLF}Content-Length: 50${CRLF}${CRLF}half`,
      `POST /public/x HTTP/1.1${CRLF}Host: a${CRLF}Content-Length: 50${CRLF}${CRLF}`,
      `PUT /api/x HTTP/1.1${CRLF}Host: a${CRLF}Authorization: Bearer ${token}${CRLF}Transfer-Encoding: chunked${CRLF}${CRLF}5${CRLF}ab`
    ]
    await Promise.all(
      cases.map(async (bytes) => {
        const client = await openClient(t, gateway.port)
        client.send(bytes)
        let answer = { status: 0, body: '{}' }
        const took = await timed(async () => {
          answer = await client.response()
        })
        const name = bytes.slice(0, 40)
        t.equal(answer.status, 408, name)
        t.equal(JSON.parse(answer.body).code, 'request_timeout')
        t.ok(took >= 250, `${name}: ${took} ms`)
        await client.closed
      })
    )
    await until(() => aborted === 3)
    t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
    t.notMatch(gateway.lines.join(''), /"level":50/)
    const logged = gateway.lines.flatMap((line) => (line.includes('"status":408') ? [JSON.parse(line)] : []))
    t.equal(logged.length, cases.length)
    for (const { route, granted, reason } of logged) t.same([granted, reason], [route !== 'none', 'request_timeout'])
  }
)

test('an idle connection is closed', WAITING, async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, limits({ keepAliveTimeout: '200ms' }))
  const client = await openClient(t, gateway.port)
  client.send(get('/public/x'))
  t.match(await client.response(), { status: 200 })
  // Node adds a second, so that a client that relies on Keep-Alive never meets a closed connection.
  const took = await timed(() => client.closed)
  t.ok(took > 1_000, `${took} ms`)
})

test('an idle connection with a body that never came is closed too', WAITING, async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, limits({ keepAliveTimeout: '200ms' }))
  const client = await openClient(t, gateway.port)
  client.send(`POST /api/x HTTP/1.1${CRLF}Host: a${CRLF}Content-Length: 50${CRLF}${CRLF}half`)
  t.match(await client.response(), { status: 401 })
  await client.closed
})

test('half-closed and broken connections do not accumulate', WAITING, async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  for (const bytes of [
    'nonsense\r\n\r\n',
    `CONNECT evil:443 HTTP/1.1${CRLF}Host: evil:443${CRLF}${CRLF}`,
    `GET /public/x HTTP/1.0${CRLF}${CRLF}`,
    `GET /api/ws HTTP/1.1${CRLF}Host: a${CRLF}Connection: Upgrade${CRLF}Upgrade: websocket${CRLF}Sec-WebSocket-Key: x${CRLF}Sec-WebSocket-Version: 13${CRLF}${CRLF}`
  ]) {
    // allowHalfOpen: a peer that never closes its side.
    const socket = connect({ port: gateway.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    socket.resume()
    t.teardown(() => socket.destroy())
    socket.write(bytes)
    await new Promise((resolve) => socket.once('end', resolve))
  }
  await untilConnections(gateway.port, (count) => count === 0)
})
