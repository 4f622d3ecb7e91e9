/** Requests with an unverified token wait for those with a verified one. */
import type { ServerResponse } from 'node:http'
import { type Test, test } from 'tap'
import { createGuard } from '../src/http/guard.ts'
import { createUnverifiedQueue } from '../src/http/unverified-queue.ts'
import { buildTestGateway } from './support/gateway.ts'
import { get, openClient, type RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
const guard = createGuard({ error() {} })
const turn = () => new Promise((resolve) => setImmediate(resolve))
const someResponse = (destroyed = false) => ({ destroyed }) as ServerResponse

test('a few unverified requests are served at once, the others a few in every turn, in order of arrival', async (t) => {
  const queue = createUnverifiedQueue(guard)
  const served: number[] = []
  for (let n = 0; n < 10; n++) queue.add(someResponse(), () => served.push(n))
  t.same(served, [0, 1, 2, 3])
  await turn()
  t.same(served, [0, 1, 2, 3, 4, 5, 6, 7])
  queue.add(someResponse(), () => served.push(10))
  t.same(served.length, 8, 'nobody overtakes')
  await turn()
  t.same(served, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  await turn()
  queue.add(someResponse(), () => served.push(11))
  t.equal(served.at(-1), 11, 'a calm queue serves at once again')
})

test('a client that left is skipped, and delays no other', async (t) => {
  const queue = createUnverifiedQueue(guard)
  const served: string[] = []
  for (let n = 0; n < 4; n++) queue.add(someResponse(), () => {})
  for (let n = 0; n < 20; n++) queue.add(someResponse(true), () => served.push('gone'))
  queue.add(someResponse(), () => served.push('here'))
  await turn()
  t.same(served, ['here'])
})

test('above its longest length the queue serves every request at once', async (t) => {
  const queue = createUnverifiedQueue(guard)
  let served = 0
  for (let n = 0; n < 6_000; n++) queue.add(someResponse(), () => served++)
  t.equal(served, 6_000 - 4_096)
  while (served < 6_000) await turn()
  t.pass('and all are served in the end')
})

/** Connections that the gateway has accepted: it takes one in a turn, which would be a queue of
 *  its own. */
async function openClients(t: Test, port: number, count: number): Promise<RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => openClient(t, port)))
  for (const client of clients) client.send(get('/livez'))
  for (const client of clients) await client.response()
  return clients
}

test('a request with a verified token is answered before most of an earlier flood', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  const good = await openClient(t, gateway.port)
  const ask = () => good.send(get('/api/x', token))
  ask()
  t.equal((await good.response()).status, 200, 'now it is verified')
  const [head = '', , signature = ''] = token.split('.')
  const floods: Record<string, (n: number) => string> = {
    'other payloads': (n) => get('/api/x', `${head}.${btoa(`{"n":${n}}`).replace(/=+$/, '')}.${signature}`),
    'no token': () => get('/api/x'),
    'no route': () => get('/nowhere'),
    'bad paths': () => get('/api/../x'),
    'own endpoints': (n) => get('/auth/session', String(n)),
    'handshakes of a WebSocket': (n) => get('/api/x', `${head}.${n}.${signature}`, HANDSHAKE)
  }
  for (const [name, request] of Object.entries(floods)) {
    const clients = await openClients(t, gateway.port, 300)
    let answered = 0
    const answers = clients.map(async (client, n) => {
      client.send(request(n))
      const { status } = await client.response()
      answered++
      return status
    })
    ask()
    t.equal((await good.response()).status, 200)
    t.ok(answered < 50, `${name}: ${answered} of 300 unverified requests were answered first`)
    const statuses = new Set(await Promise.all(answers))
    t.ok(
      [...statuses].every((status) => status >= 400 && status < 500),
      `${name}: ${[...statuses]}`
    )
  }
})

test('a client that leaves while it waits is not served, and the log says so', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const clients = await openClients(t, gateway.port, 300)
  for (const [n, client] of clients.entries()) client.send(get('/api/x', `unknown.${n}.token`))
  await turn()
  for (const client of clients) client.socket.resetAndDestroy()
  const lines = () => gateway.lines.filter((line) => line.includes('"path":"/api/x"'))
  await until(() => lines().length === 300)
  const left = lines().filter((line) => line.includes('"reason":"client_left"'))
  t.ok(left.length > 0, `${left.length} of 300`)
  t.ok(left.every((line) => line.includes('"granted":false') && line.includes('"status":499')))
})

test('a bad token is remembered when it is sent again, and a flood of different ones is not', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  const { accessTokens } = gateway.gateway.parts
  const [head = '', payload = ''] = token.split('.')
  const bad = (n: number) => `Bearer ${head}.${payload}.${Buffer.alloc(32, `token ${n}.`).toString('base64url')}`
  const verdict = accessTokens.verify(bad(0))
  t.match(verdict, { code: 'token_invalid' })
  t.equal(accessTokens.recall(bad(0)), undefined)
  t.equal(accessTokens.verify(bad(0)), verdict)
  t.ok(accessTokens.recall(bad(0)))
  for (let n = 1; n < 1_000; n++) accessTokens.verify(bad(n))
  t.equal(accessTokens.recall(bad(999)), undefined)
  t.ok(accessTokens.recall(bad(0)), 'and the flood displaces nothing')
  t.equal(accessTokens.verify(bad(0)), verdict)
})
