/** WebSockets and event streams end in order: between two frames or events, with a reason for
 *  the client. */
import { createServer, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type Test, test } from 'tap'
import { createQuickClock, createTestClock } from '../support/clock.ts'
import {
  buildTestGateway,
  defaultConfig,
  OTHER_APPID,
  readTestConfig,
  SECRET,
  type TestGateway,
  type TestGatewayOptions
} from '../support/gateway.ts'
import { listen } from '../support/listen.ts'
import { get, isRefused, openClient, type RawClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n'
const GOING_AWAY = '\x88\x02\x03\xe9'
const UNAUTHORIZED = '\x88\x02\x11\x31'
/** Masked by zeros. */
const GOING_AWAY_TO_UPSTREAM = '\x88\x82\0\0\0\0\x03\xe9'

interface Service {
  readonly url: string
  readonly sockets: Duplex[]
  /** Latin-1, all WebSockets together. */
  readonly received: () => string
  readonly streams: ServerResponse[]
}

async function startService(t: Test): Promise<Service> {
  const sockets: Duplex[] = []
  const streams: ServerResponse[] = []
  let received = ''
  const server = createServer((_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' })
    res.flushHeaders()
    streams.push(res)
  })
  server.on('upgrade', (_req, socket: Duplex) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.write(SWITCHING)
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, sockets, received: () => received, streams }
}

async function setup(t: Test, options: TestGatewayOptions = {}, drain = { delay: '1ms', timeout: '20s' }) {
  const service = await startService(t)
  const server = { host: '127.0.0.1', port: 1, drain }
  const gateway = await buildTestGateway(t, service.url, { ...options, config: { server, ...options.config } })
  return { service, gateway }
}

async function join(t: Test, gateway: TestGateway, path: string, token?: string): Promise<RawClient> {
  const client = await openClient(t, gateway.port)
  client.send(get(path, token, HANDSHAKE))
  t.match(await client.head(), /^HTTP\/1\.1 101 (?!.*content-length)/is)
  return client
}

test('a drain ends WebSockets with 1001, to the client and to the upstream', async (t) => {
  const { service, gateway } = await setup(t)
  const clients = await Promise.all(Array.from({ length: 5 }, () => join(t, gateway, '/public/ws')))
  const drained = gateway.gateway.drain()
  for (const client of clients) {
    await client.closed
    t.equal(client.pending, GOING_AWAY)
    client.close()
  }
  await drained
  await until(() => service.received() === GOING_AWAY_TO_UPSTREAM.repeat(5))
})

test('a close frame never stands inside another frame', async (t) => {
  const { service, gateway } = await setup(t)
  const client = await join(t, gateway, '/public/ws')
  service.sockets[0]?.write(Buffer.from([0x82, 10, ...Buffer.from('half')]))
  await until(() => client.pending.endsWith('half'))
  const drained = gateway.gateway.drain()
  await until(() => isRefused(t, gateway.port))
  service.sockets[0]?.write(Buffer.concat([Buffer.from('whole.'), Buffer.from([0x81, 1, 0x78])]))
  await client.closed
  t.equal(client.pending, `\x82\x0ahalfwhole.${GOING_AWAY}`)
  client.close()
  await drained
})

test('a logout ends the WebSocket of its session with 4401, and no other', async (t) => {
  const { gateway } = await setup(t)
  const [alice, bob] = await Promise.all([gateway.login('alice'), gateway.login('bob')])
  const ended = await join(t, gateway, '/api/ws', alice.access_token)
  const kept = await join(t, gateway, '/api/ws', bob.access_token)
  await gateway.call('/auth/logout', { method: 'POST', token: alice.access_token })
  await ended.closed
  t.equal(ended.pending, UNAUTHORIZED)
  t.equal(kept.pending, '')
  await until(() => gateway.lines.some((line) => line.includes('"reason":"session_revoked"')))
})

test('a token that expires ends its WebSocket with 4401', async (t) => {
  const clock = createTestClock()
  const { gateway } = await setup(t, { clock })
  const { access_token: token } = await gateway.login('alice')
  const client = await join(t, gateway, '/api/ws', token)
  const open = await join(t, gateway, '/public/ws')
  clock.advance(3 * 60 * 60 * 1000)
  await client.closed
  t.equal(client.pending, UNAUTHORIZED)
  t.equal(open.pending, '')
})

test('a reload that removes the secret or the app of a token ends its WebSocket with 4401', async (t) => {
  const changes: Record<string, Record<string, unknown>> = {
    'another secret': { secrets: [`${SECRET}-another`] },
    'another app': { apps: [{ appid: OTHER_APPID, secret: 'another-appsecret-0123456789' }] }
  }
  for (const [name, change] of Object.entries(changes)) {
    const { gateway, service } = await setup(t)
    const { access_token: token } = await gateway.login('alice')
    const client = await join(t, gateway, '/api/ws', token)
    const open = await join(t, gateway, '/public/ws')
    const config = { ...defaultConfig(service.url), ...change }
    await gateway.gateway.reload({
      ...readTestConfig(config),
      server: gateway.config.server,
      service: gateway.config.service
    })
    await client.closed
    t.equal(client.pending, UNAUTHORIZED, name)
    t.equal(open.pending, '')
  }
})

test('a reload that does not affect a token keeps its WebSocket open', async (t) => {
  const { gateway, service } = await setup(t)
  const { access_token: token } = await gateway.login('alice')
  const client = await join(t, gateway, '/api/ws', token)
  const config = readTestConfig({ ...defaultConfig(service.url), secrets: [`${SECRET}-another`, SECRET] })
  await gateway.gateway.reload({ ...config, server: gateway.config.server, service: gateway.config.service })
  const other = await join(t, gateway, '/api/ws', (await gateway.login('bob')).access_token)
  await gateway.call('/auth/logout', { method: 'POST', token })
  await client.closed
  t.equal(client.pending, UNAUTHORIZED, 'ended by the logout')
  t.equal(other.pending, '')
})

test('maxConnectionAge ends a WebSocket with 1001', async (t) => {
  const clock = createTestClock()
  const routes = [
    { path: '/aging', upstream: 'app', auth: 'public', maxConnectionAge: '1h' },
    { path: '/public', upstream: 'app', auth: 'public' }
  ]
  const { gateway } = await setup(t, { clock, config: { routes } })
  const client = await join(t, gateway, '/aging/ws')
  const open = await join(t, gateway, '/public/ws')
  clock.advance(3_600_000)
  await client.closed
  t.equal(client.pending, GOING_AWAY)
  t.equal(open.pending, '')
})

test('a side that ignores the end of the other does not keep the connection open', async (t) => {
  const { gateway, service } = await setup(t, { clock: createQuickClock(20) })
  const client = await join(t, gateway, '/public/ws')
  client.socket.end()
  await until(() => service.sockets[0]?.readableEnded === true)
  await until(() => client.socket.destroyed && gateway.gateway.active === 0)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
})

/** A client that has read the first bytes of an event stream. */
async function follow(
  t: Test,
  { gateway, service }: Awaited<ReturnType<typeof setup>>,
  bytes: string,
  token?: string
): Promise<RawClient> {
  const client = await openClient(t, gateway.port)
  const known = service.streams.length
  client.send(get(token === undefined ? '/public/events' : '/api/events', token))
  await client.head()
  await until(() => service.streams.length > known)
  service.streams.at(-1)?.write(bytes)
  await until(() => client.pending.includes(bytes))
  return client
}

test('a drain ends an event stream between two events, as a whole response', async (t) => {
  const both = await setup(t)
  const client = await follow(t, both, 'data: 1\n\n')
  const drained = both.gateway.gateway.drain()
  await until(() => client.pending.endsWith('data: 1\n\n\r\n0\r\n\r\n'))
  await drained
})

test('an event that has begun when a drain begins is passed on to its end, and no further one', async (t) => {
  const both = await setup(t)
  const client = await follow(t, both, 'data: 1\n\ndata: ')
  const drained = both.gateway.gateway.drain()
  await until(() => isRefused(t, both.gateway.port))
  both.service.streams[0]?.write('2\n\ndata: 3\n\n')
  await until(() => client.pending.endsWith('\r\n2\n\n\r\n0\r\n\r\n'))
  t.notMatch(client.pending, 'data: 3')
  await drained
})

test('an event stream ends with its session, with its token, and with the secret of its token', async (t) => {
  const clock = createTestClock()
  const both = await setup(t, { clock })
  const { gateway } = both
  const whole = 'data: 1\n\n\r\n0\r\n\r\n'
  const people = await Promise.all(['alice', 'bob', 'carol'].map((name) => gateway.login(name)))
  const streams: RawClient[] = []
  for (const { access_token } of people) streams.push(await follow(t, both, 'data: 1\n\n', access_token))
  const [alice, bob, carol] = streams
  const open = await follow(t, both, 'data: 1\n\n')
  await gateway.call('/auth/logout', { method: 'POST', token: people[0]?.access_token ?? '' })
  await until(() => alice?.pending.endsWith(whole) === true)
  t.notOk(bob?.pending.endsWith(whole))
  const secrets = ['another-secret-of-more-than-32-characters']
  const kept = readTestConfig({ ...defaultConfig(both.service.url), secrets: [...secrets, SECRET] })
  const ports = { server: gateway.config.server, service: gateway.config.service }
  await gateway.gateway.reload({ ...kept, ...ports })
  const fresh = await follow(t, both, 'data: 1\n\n', (await gateway.login('dave')).access_token)
  await gateway.gateway.reload({ ...kept, ...ports, secrets })
  await until(() => [bob, carol].every((stream) => stream?.pending.endsWith(whole)))
  t.notOk(fresh.pending.endsWith(whole))
  clock.advance(3 * 60 * 60 * 1000)
  await until(() => fresh.pending.endsWith(whole))
  t.notOk(open.pending.endsWith(whole), 'a stream without a session goes on')
  for (const reason of ['session_revoked', 'token_invalid', 'token_expired'])
    await until(() => gateway.lines.some((line) => line.includes(`"reason":"${reason}"`)))
})
