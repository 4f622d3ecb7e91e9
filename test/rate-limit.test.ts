import { test } from 'tap'
import { createTestClock } from './support/clock.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'

const limited = (by: string) => ({
  routes: [
    {
      path: '/api',
      upstream: 'app',
      auth: by === 'ip' ? 'public' : 'required',
      rateLimit: { max: 3, window: '1m', by }
    }
  ]
})

test('a route limit by user is shared by all sessions of the user, and by no other user', async (t) => {
  const upstream = await startUpstream(t)
  // Frozen, so that no window ends in between.
  const clock = createTestClock()
  const gateway = await buildTestGateway(t, upstream.url, { config: limited('user'), clock })
  const [phone, tablet, bob] = [
    await gateway.login('alice'),
    await gateway.login('sandbox-alice-2'),
    await gateway.login('bob')
  ]
  for (const { access_token } of [phone, tablet, phone]) {
    t.equal((await gateway.call('/api/x', { token: access_token })).status, 200)
  }
  const refused = await gateway.call('/api/x', { token: tablet.access_token })
  t.equal(refused.status, 429)
  t.match(await refused.json(), { code: 'rate_limited', action: 'retry' })
  t.ok(Number(refused.headers.get('retry-after')) >= 1)
  t.equal((await gateway.call('/api/x', { token: bob.access_token })).status, 200)
  t.equal(upstream.seen.length, 4)
  clock.advance(60_000)
  t.equal((await gateway.call('/api/x', { token: phone.access_token })).status, 200, 'the next window starts at zero')
})

test('a route limit by ip needs no user', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { config: limited('ip'), clock: createTestClock() })
  const statuses = []
  for (let index = 0; index < 5; index++) statuses.push((await gateway.call('/api/x')).status)
  t.same(statuses, [200, 200, 200, 429, 429])
})

test('two routes of one path with different methods count separately', async (t) => {
  const upstream = await startUpstream(t)
  const limit = (method: string, max: number) => ({
    path: '/api',
    methods: [method],
    upstream: 'app',
    auth: 'public',
    rateLimit: { max, window: '1m', by: 'ip' }
  })
  const config = { routes: [limit('GET', 4), limit('POST', 2)] }
  const gateway = await buildTestGateway(t, upstream.url, { config, clock: createTestClock() })
  const statuses = []
  for (const method of ['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'GET', 'GET']) {
    statuses.push((await gateway.call('/api/x', { method })).status)
  }
  t.same(statuses, [200, 200, 200, 200, 200, 429, 200, 429])
})

test('a WebSocket handshake counts like any other request', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { config: limited('user'), clock: createTestClock() })
  const { access_token } = await gateway.login('alice')
  // The upstream speaks no WebSocket and answers 200, so an uncounted handshake would be a request
  // without a limit.
  const handshake =
    `GET /api/x HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer ${access_token}\r\nConnection: Upgrade\r\n` +
    'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  t.equal((await gateway.call('/api/x', { token: access_token })).status, 200)
  const answers = []
  for (let index = 0; index < 4; index++) answers.push(await gateway.raw(handshake))
  t.same(
    answers.map((answer) => answer.slice(9, 12)),
    ['200', '200', '429', '429']
  )
  t.match(answers[3], /\r\nretry-after: \d+\r\n.*"code":"rate_limited"/is)
  t.equal(upstream.seen.length, 3)
  t.match(gateway.lines.at(-1), /"status":429.*"granted":false,"reason":"rate_limited"/, 'and its line is in the log')
})

test('a route limit goes on counting when the store is down', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { config: limited('ip'), clock: createTestClock() })
  gateway.store.increment = () => Promise.reject(new Error('away'))
  const statuses = []
  for (let index = 0; index < 5; index++) statuses.push((await gateway.call('/api/x')).status)
  t.same(statuses, [200, 200, 200, 429, 429])
})

test('logins are limited per address before WeChat, and one sender does not use up another app', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { server: { host: '127.0.0.1', port: 1, loginLimit: { max: 2, window: '1m', by: 'ip' } } },
    clock: createTestClock()
  })
  const statuses = []
  for (let index = 0; index < 4; index++) statuses.push((await gateway.login(`user${index}`)).status)
  t.same(statuses, [200, 200, 429, 429])
  t.equal(gateway.sandbox.state.calls.list('/sns/jscode2session').length, 2, `WeChat is not asked again for ${APPID}`)
})

test('a client sees its limit in every answer of the route, the refusal included', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(200, { ratelimit: '"backend";r=5;t=9' }).end())
  const clock = createTestClock(Date.UTC(2026, 0, 1))
  clock.advance(12_500)
  const gateway = await buildTestGateway(t, upstream.url, { config: limited('ip'), clock })
  const seen = []
  for (let index = 0; index < 4; index++) {
    const { status, headers } = await gateway.call('/api/x')
    seen.push(`${status} ${headers.get('ratelimit')}`)
    t.equal(headers.get('ratelimit-policy'), '"wxgate";q=3;w=60')
  }
  t.same(seen, [...[2, 1, 0].map((left) => `200 "backend";r=5;t=9, "wxgate";r=${left};t=48`), '429 "wxgate";r=0;t=48'])
  t.equal((await gateway.call('/')).headers.get('ratelimit'), null)
})
