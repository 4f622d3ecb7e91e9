/** Repeats of the mini-program client: which calls are sent again, how often, and the random text
 *  that marks a repeat. */
import { test } from 'tap'
import { HOUR, type Phone, problem, rejection, startPhone } from './support/phone.ts'
import { idle } from './support/timers.ts'

test('a POST that may have been carried out is never sent again', async (t) => {
  const { client, wire, upstream, wx } = await startPhone(t)
  await client.login()
  const post = () => rejection(client.request({ url: '/api/a', method: 'POST', data: { pay: 1 } }))
  wire.fault = () => 'lose-answer'
  t.match(await post(), { code: 'network', status: 0, errMsg: /^request:fail/ })
  t.equal(upstream.seen.length, 1)
  wire.fault = () => 'lose-request'
  t.match(await post(), { code: 'network' })
  t.equal(wire.count('/api/a'), 2)
  for (const [status, code] of [
    [502, 'upstream_unreachable'],
    [503, 'upstream_unavailable'],
    [504, 'upstream_timeout'],
    [429, 'rate_limited']
  ] as const) {
    wire.requests.length = 0
    wire.fault = () => problem(status, code, 'retry', { 'retry-after': '1' })
    t.match(await post(), { code, status, action: 'retry', retryAfter: 1 })
    t.equal(wire.count('/api/a'), 1, code)
  }
  wire.fault = () => 'hang'
  wire.requests.length = 0
  t.match(await rejection(client.request({ url: '/api/a', method: 'POST', timeout: 50 })), { code: 'timeout' })
  t.equal(wire.count('/api/a'), 1)
  wx.files.set('wxfile://a.png', Buffer.from('png'))
  wire.fault = () => 'lose-answer'
  t.match(await rejection(client.uploadFile({ url: '/api/up', filePath: 'wxfile://a.png', name: 'f' })), {
    code: 'network'
  })
  t.equal(wire.count('/api/up'), 1)
})

test('an idempotent request is repeated once after a lost connection', async (t) => {
  const { client, wire } = await startPhone(t)
  await client.login()
  const methods = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'] as const
  wire.fault = ({ path }) => (wire.count(path) === 1 ? 'lose-answer' : null)
  const answers = await Promise.all(methods.map((method) => client.request({ url: `/api/${method}`, method })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  for (const method of methods) t.equal(wire.count(`/api/${method}`), 2, method)
  wire.requests.length = 0
  wire.fault = () => 'lose-request'
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'network' })
  t.equal(wire.count('/api/a'), 2)
})

test('a rate limit is waited for once, for the time of Retry-After', async (t) => {
  const { client, wire, wx } = await startPhone(t, {
    config: {
      routes: [{ path: '/api', upstream: 'app', rateLimit: { max: 1, window: '1s', by: 'user' } }]
    }
  })
  await client.login()
  await client.request({ url: '/api/a' })
  wire.requests.length = 0
  // The gateway's limits use its own clock.
  const before = performance.now()
  const answer = await client.request({ url: '/api/a' }).catch((error) => error)
  t.ok(performance.now() - before >= 900, 'Retry-After was respected')
  t.equal(wire.count('/api/a'), 2)
  t.ok(answer.statusCode === 200 || answer.code === 'rate_limited')
  wire.fault = () => problem(429, 'rate_limited', 'retry', { 'Retry-After': '3600' })
  wire.requests.length = 0
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'rate_limited', retryAfter: 3600 })
  t.equal(wire.count('/api/a'), 1, 'an hour is not waited for')
  t.equal(wx.calls.login, 1)
})

test('a call refreshes once and logs in once at most', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  const refusals = ['token_expired', 'token_invalid', 'session_revoked', 'token_expired']
  wire.fault = ({ path }) =>
    path === '/api/a'
      ? problem(
          401,
          refusals[wire.count('/api/a') - 1] ?? 'token_missing',
          wire.count('/api/a') === 1 ? 'refresh' : 'login'
        )
      : null
  t.match(await rejection(client.request({ url: '/api/a', method: 'POST' })), { code: 'session_revoked', status: 401 })
  t.equal(wire.count('/api/a'), 3)
  t.equal(wire.count('/auth/refresh'), 1)
  t.equal(wx.calls.login, 2)
})

test('the login page of a captive network does not count as the gateway', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  wire.fault = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Please pay</html>' })
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'invalid_response', status: 200 })
  t.match(await rejection(client.session()), { code: 'invalid_response' })
  wire.fault = () => ({ status: 502, body: '<html>nginx</html>' })
  t.match(await rejection(client.login()), { code: 'invalid_response', status: 502 })
  for (const body of [
    '{}',
    '[]',
    '"x"',
    '{"access_token":1}',
    '{"access_token":"a","refresh_token":"b","expires_in":7200}'
  ]) {
    wire.fault = () => ({ status: 200, body })
    t.match(await rejection(client.login()), { code: 'invalid_response' }, body)
  }
  t.equal(wx.storage.size, 0)
})

test('a read that WeChat interrupts in the background is repeated in the foreground', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  wire.fault = () => 'hang'
  const reading = client.request({ url: '/api/a' })
  const writing = rejection(client.request({ url: '/api/b', method: 'POST' }))
  while (wire.requests.length < 3) await idle()
  wx.hide()
  t.match(await writing, { code: 'interrupted', errno: 600003 })
  wire.fault = () => null
  await idle()
  t.equal(wire.count('/api/a'), 1, 'no request is sent from the background')
  wx.show()
  t.equal((await reading).statusCode, 200)
  t.equal(wire.count('/api/a'), 2)
})

/** The `attempt` of each request to this path. */
function attempts({ wire }: Phone, path: string): string[] {
  return wire.requests.filter((seen) => seen.path === path).map(({ body }) => String(JSON.parse(body).attempt))
}

test('a repeated login carries the same attempt, and another code another one', async (t) => {
  const phone = await startPhone(t)
  let lost = 0
  phone.wire.fault = ({ path }) => (path === '/auth/login' && lost++ === 0 ? 'lose-answer' : null)
  await phone.client.login()
  await phone.client.login({ force: true })
  const [first, repeated, another] = attempts(phone, '/auth/login')
  t.match(first, /^[A-Za-z0-9]{16,64}$/)
  t.equal(repeated, first)
  t.match(another, /^[A-Za-z0-9]{16,64}$/)
  t.not(another, first)
})

test('a repeated refresh carries the same attempt, after a restart too, and the next refresh another one', async (t) => {
  const phone = await startPhone(t)
  await phone.client.login()
  phone.clock.advance(3 * HOUR)
  phone.wire.fault = ({ path }) => (path === '/auth/refresh' ? 'lose-answer' : null)
  t.match(await rejection(phone.client.request({ url: '/api/a' })), { code: 'network' })
  phone.wire.fault = () => null
  const again = phone.restart()
  t.equal((await again.request({ url: '/api/a' })).statusCode, 200)
  t.equal(phone.wx.calls.login, 1, 'the gateway accepted it as a repeat')
  phone.clock.advance(3 * HOUR)
  await again.request({ url: '/api/a' })
  const [first, second, afterRestart, next] = attempts(phone, '/auth/refresh')
  t.match(first, /^[A-Za-z0-9]{16,64}$/)
  t.same([second, afterRestart], [first, first])
  t.not(next, first)
})
