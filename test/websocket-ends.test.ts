/** A WebSocket ends with either side, with silence, with its session and with a drain. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { test } from 'tap'
import { buildTestGateway } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { startRawUpstream } from './support/raw-upstream.ts'
import { until } from './support/until.ts'
import { handshake, join, startSocketService, withoutTimeouts } from './support/websocket.ts'

test('each side learns that the other has left', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url, withoutTimeouts(service.url))
  for (const leave of [
    (socket: Duplex) => void socket.destroy(),
    (socket: Duplex) => void (socket as Socket).resetAndDestroy()
  ]) {
    const first = await join(t, gateway, '/public/ws')
    const upstreamSocket = service.sockets.at(-1)
    leave(first.socket)
    await until(() => upstreamSocket?.destroyed === true)
    const second = await join(t, gateway, '/public/ws')
    const other = service.sockets.at(-1)
    if (other) leave(other)
    await until(() => second.isClosed)
  }
  await until(() => gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight === 0)
  await until(() => gateway.lines.filter((line) => line.includes('"status":101')).length === 4)
})

test('a client that leaves during the handshake ends the upstream connection too', async (t) => {
  let open = 0
  const upstream = await startRawUpstream(t, (socket) => {
    open++
    socket.on('close', () => open--)
  })
  const gateway = await buildTestGateway(t, upstream.url, withoutTimeouts(upstream.url))
  const client = await openClient(t, gateway.port)
  client.send(handshake('/public/ws'))
  await until(() => open === 1)
  client.close()
  await until(() => open === 0)
  await until(() => gateway.lines.some((line) => line.includes('"status":499')))
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
})

test('silence on both sides ends a WebSocket after the idle timeout, and any byte restarts the time', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url, {
    config: { upstreams: { app: { targets: [{ url: service.url }], timeouts: { idle: '1s' } } } }
  })
  const talking = await join(t, gateway, '/public/ws')
  const timer = setInterval(() => talking.send('ping'), 50)
  t.teardown(() => clearInterval(timer))
  const start = performance.now()
  for (let round = 0; round < 2; round++) {
    const silent = await join(t, gateway, '/public/ws')
    await until(() => silent.isClosed)
  }
  t.ok(performance.now() - start >= 1_950)
  t.notOk(talking.isClosed)
})

test('a WebSocket ends with its session, and with no other', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url, withoutTimeouts(service.url))
  const people = await Promise.all(
    ['sandbox-alice-1', 'sandbox-alice-2', 'sandbox-bob', 'sandbox-carol'].map((name) => gateway.login(name))
  )
  const clients = await Promise.all(people.map(({ access_token }) => join(t, gateway, '/api/ws', access_token)))
  const anonymous = await join(t, gateway, '/public/ws')
  const [first, second, bob, carol] = clients
  if (!first || !second || !bob || !carol) return
  await gateway.call('/auth/logout', { method: 'POST', token: people[0]?.access_token ?? '' })
  await until(() => first.isClosed)
  t.notOk(second.isClosed, 'another session of the same user')
  await gateway.call('/auth/logout', { method: 'POST', token: people[2]?.access_token ?? '', body: '{"all":true}' })
  await until(() => bob.isClosed)
  t.notOk(carol.isClosed || second.isClosed || anonymous.isClosed)
  await until(() => gateway.lines.filter((line) => line.includes('"reason":"session_revoked"')).length === 2)
  await until(() => service.sockets.filter((socket) => socket.destroyed).length === 2)
})

test('a WebSocket ends when its session is ended on another instance', async (t) => {
  const service = await startSocketService(t)
  const gateway = await buildTestGateway(t, service.url, withoutTimeouts(service.url))
  const other = await buildTestGateway(t, service.url, { store: gateway.store })
  const { access_token: token } = await gateway.login('alice')
  const client = await join(t, gateway, '/api/ws', token)
  t.equal((await other.call('/auth/logout', { method: 'POST', token })).status, 204)
  await until(() => client.isClosed)
})
