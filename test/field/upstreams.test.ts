/** Faults of upstreams, and redirects of upstreams that do not know their public address. */
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { type Test, test } from 'tap'
import { buildTestGateway } from '../support/gateway.ts'
import { openClient } from '../support/raw-client.ts'
import { startUpstream } from '../support/upstream.ts'

/** A server that closes each connection after this many responses, without announcing it. */
async function startRecycling(t: Test, limit: number): Promise<{ url: string; readonly closed: number }> {
  let closed = 0
  const counts = new WeakMap<object, number>()
  const server = createServer((req, res) => {
    const count = (counts.get(req.socket) ?? 0) + 1
    counts.set(req.socket, count)
    // The request was read and is not answered, as by a worker that ends.
    if (count > limit) {
      closed++
      req.socket.destroy()
      return
    }
    res.end('ok')
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve()) && server.closeAllConnections()))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get closed() {
      return closed
    }
  }
}

test('a kept connection that the backend closes loses no GET', async (t) => {
  const backend = await startRecycling(t, 25)
  const gateway = await buildTestGateway(t, backend.url)
  const statuses = new Map<number, number>()
  for (let round = 0; round < 50; round++) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => gateway.call('/public/x')))
    for (const answer of answers) {
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      await answer.text()
    }
  }
  t.same([...statuses], [[200, 400]])
  t.ok(backend.closed >= 8, `${backend.closed} connections were closed`)
})

test('a POST that was sent is not sent again', async (t) => {
  const backend = await startRecycling(t, 1)
  const gateway = await buildTestGateway(t, backend.url)
  await (await gateway.call('/public/x')).text()
  const response = await gateway.call('/public/x', { method: 'POST', body: '{}' })
  t.match(await response.json(), { status: 502, code: 'upstream_unreachable' })
})

test('a target that resets the TLS handshake is avoided, and another one serves the request', async (t) => {
  const resetting = createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))
  await new Promise<void>((resolve) => resetting.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => resetting.close(() => resolve())))
  const live = await startUpstream(t)
  const dead = `https://127.0.0.1:${(resetting.address() as AddressInfo).port}`
  const upstreams = { app: { targets: [{ url: dead }, { url: live.url }] } }
  const gateway = await buildTestGateway(t, live.url, { config: { upstreams } })
  for (let count = 0; count < 6; count++) {
    const response = await gateway.call('/public/x', { method: 'POST', body: '{}' })
    t.equal(response.status, 200)
  }
  t.equal(live.seen.length, 6)
  const [first] = gateway.gateway.parts.upstreams.get('app').targets
  t.ok((first?.avoidUntil ?? 0) > 0, 'the target is avoided')
})

const redirects: readonly (readonly [string, string])[] = [
  ['/orders', '/strip/orders'],
  ['/strip/orders', '/strip/orders'],
  ['/strip', '/strip'],
  ['/strip?x=1', '/strip?x=1'],
  ['/stripped', '/strip/stripped'],
  ['/', '/strip'],
  ['http://shop.example/orders/', 'http://shop.example/strip/orders/'],
  ['https://shop.example:443/orders', 'https://shop.example:443/strip/orders'],
  ['//shop.example/orders', '//shop.example/strip/orders'],
  ['http://shop.example/strip/orders', 'http://shop.example/strip/orders'],
  ['http://other.example/orders', 'http://other.example/orders'],
  ['http://shop.example//evil.example/', 'http://shop.example//evil.example/'],
  ['//evil.example/orders', '//evil.example/orders'],
  ['orders', 'orders']
]

test('a redirect below the stripped prefix gets it back once, on a path and on the address that the client used', async (t) => {
  let location = ''
  const upstream = await startUpstream(t, (_req, res) => void res.writeHead(302, { location }).end())
  const routes = [{ path: '/strip', stripPrefix: '/strip', upstream: 'app', auth: 'public' }]
  const gateway = await buildTestGateway(t, upstream.url, { config: { routes } })
  const client = await openClient(t, gateway.port)
  for (const [given, expected] of redirects) {
    location = given
    client.send('GET /strip/x HTTP/1.1\r\nHost: Shop.example\r\n\r\n')
    t.equal((await client.response()).headers.location, expected, given)
  }
  t.match(upstream.seen[0]?.headers, { 'x-forwarded-prefix': '/strip', 'x-forwarded-host': 'Shop.example' })
})
