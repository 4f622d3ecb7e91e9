/** Logins and refreshes of the mini-program client against the real gateway. */
import { test } from 'tap'
import { HOUR, rejection, startPhone, times } from './support/phone.ts'
import { idle } from './support/timers.ts'

test('50 calls on a fresh install log in once', async (t) => {
  const { client, wire, wx, upstream } = await startPhone(t)
  const answers = await Promise.all(times(50, (index) => client.request({ url: `/api/${index}` })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.equal(wx.calls.login, 1)
  t.equal(wire.count('/auth/login'), 1)
  t.equal(wire.requests.length, 51)
  t.equal(upstream.seen.length, 50)
  t.ok(upstream.seen.every(({ headers }) => headers['x-openid']))
  t.equal(wx.peak, 10, 'as many as WeChat allows at a time, and no more')
})

test('50 calls with an expired token refresh once, and all succeed', async (t) => {
  const { client, wire, wx, clock, upstream } = await startPhone(t)
  await client.login()
  clock.advance(2 * HOUR + 1000)
  wire.requests.length = 0
  const answers = await Promise.all(times(50, (index) => client.request({ url: `/api/${index}` })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.equal(wire.count('/auth/refresh'), 1)
  t.equal(wire.count('/auth/login'), 0)
  t.equal(wx.calls.login, 1)
  t.equal(upstream.seen.length, 50)
})

test('50 calls with a token close to its end wait for one refresh, and none is refused', async (t) => {
  const { client, wire, clock, program } = await startPhone(t)
  await client.login()
  clock.advance(2 * HOUR - 30_000)
  program.clockError = 2 * HOUR - 30_000
  wire.requests.length = 0
  await Promise.all(times(50, (index) => client.request({ url: `/api/${index}` })))
  t.equal(wire.count('/auth/refresh'), 1)
  t.equal(wire.requests.length, 51)
})

test('a token that is still valid is used when it cannot be renewed', async (t) => {
  const { client, wire, program } = await startPhone(t)
  await client.login()
  program.clockError = 2 * HOUR - 30_000
  wire.fault = ({ path }) => (path === '/auth/refresh' ? 'lose-request' : null)
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200)
  program.clockError = 2 * HOUR
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'network' })
})

test('a call leaves the queue with the newest token', async (t) => {
  const { client, wire, wx, upstream } = await startPhone(t)
  await client.login()
  wire.fault = ({ path }) => (path === '/api/slow' ? 'hang' : null)
  const slow = times(10, () => client.request({ url: '/api/slow' }))
  const ended = Promise.all(slow.map((call) => rejection(call)))
  while (wire.count('/api/slow') < 10) await idle()
  const waiting = client.request({ url: '/api/a' })
  const login = client.login({ force: true })
  while (wx.calls.login < 2) await idle()
  await idle()
  for (const call of slow.slice(0, 1)) call.abort()
  await login
  await waiting
  await client.request({ url: '/api/b' })
  t.equal(upstream.seen[0]?.headers['x-session-id'], upstream.seen[1]?.headers['x-session-id'])
  for (const call of slow) call.abort()
  await ended
})

test('a forced login is not undone by a refresh that was under way', async (t) => {
  const { client, wire, clock, upstream } = await startPhone(t)
  await client.request({ url: '/api/a' })
  clock.advance(3 * HOUR)
  let login: Promise<unknown> | undefined
  wire.fault = ({ path }) => {
    if (path !== '/auth/refresh' || login) return null
    login = client.login({ force: true })
    return 'lose-answer'
  }
  await client.request({ url: '/api/b' })
  await login
  await client.request({ url: '/api/c' })
  t.not(upstream.seen[2]?.headers['x-session-id'], upstream.seen[0]?.headers['x-session-id'])
})

test('a phone whose clock is wrong still works', async (t) => {
  const { client, wire, clock, program } = await startPhone(t)
  program.clockError = -400 * 24 * HOUR
  await client.login()
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200)
  t.equal(wire.count('/auth/refresh'), 0, 'a year behind, and the token is known to be fresh')
  program.clockError = -500 * 24 * HOUR
  t.equal((await client.request({ url: '/api/b' })).statusCode, 200)
  t.equal(wire.count('/auth/refresh'), 1, 'set back further: the age is not known, so it is renewed')
  clock.advance(3 * HOUR)
  t.equal((await client.request({ url: '/api/c' })).statusCode, 200)
  t.equal(wire.count('/auth/refresh'), 2, 'the gateway reports that it has expired')
})

test('after a session was ended elsewhere, 50 calls log in once', async (t) => {
  const { client, wire, wx, gateway, upstream } = await startPhone(t)
  const ends: unknown[] = []
  client.onSessionEnd(({ code }) => ends.push(code))
  await client.login()
  const { access_token } = await gateway.login('alice')
  await gateway.call('/auth/logout', { method: 'POST', token: access_token, body: '{"all":true}' })
  upstream.seen.length = 0
  const answers = await Promise.all(
    times(50, (index) => client.request({ url: '/api/a', method: 'POST', data: { index } }))
  )
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.equal(wx.calls.login, 2)
  t.equal(wire.count('/auth/login'), 2)
  t.equal(upstream.seen.length, 50, 'each was carried out once')
  t.same(ends, ['session_revoked'])
})

test('a refresh whose answer is lost is repeated, and the session goes on', async (t) => {
  const { client, wire, wx, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  let lost = 0
  wire.fault = ({ path }) => (path === '/auth/refresh' && lost++ === 0 ? 'lose-answer' : null)
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200)
  t.equal(wire.count('/auth/refresh'), 2)
  t.equal(wx.calls.login, 1)
})

test('a refresh token that counts as used twice leads to a login', async (t) => {
  const { client, restart, wire, wx, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  wire.fault = ({ path }) => (path === '/auth/refresh' ? 'lose-answer' : null)
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'network', status: 0 })
  wire.fault = () => null
  clock.advance(60_000)
  const ends: unknown[] = []
  const again = restart()
  again.onSessionEnd(({ code }) => ends.push(code))
  t.equal((await again.request({ url: '/api/a' })).statusCode, 200)
  t.equal(wx.calls.login, 2)
  t.same(ends, ['refresh_reused'])
})

test('a login whose answer is lost is requested again with the same code', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  let lost = 0
  wire.fault = ({ path }) => (path === '/auth/login' && lost++ === 0 ? 'lose-answer' : null)
  const user = await client.login()
  t.ok(user.id)
  t.equal(user.is_new, true)
  t.equal(wire.count('/auth/login'), 2)
  t.equal(wx.calls.login, 1)
})

test('a spent or unknown code costs exactly one more wx.login', async (t) => {
  const { client, wx, wire, gateway } = await startPhone(t)
  await gateway.login('sandbox-alice-spent1')
  wx.codes.push('nonsense')
  t.ok(await client.login())
  t.equal(wx.calls.login, 2)
  wx.codes.push('nonsense-2', 'nonsense-3')
  t.match(await rejection(client.login({ force: true })), { name: 'WxgateError', code: 'code_invalid', status: 401 })
  t.equal(wx.calls.login, 4)
  t.equal(wire.count('/auth/login'), 4)
})

test('a login that WeChat refuses fails every waiting call, and is not repeated', async (t) => {
  const { client, wx, wire } = await startPhone(t)
  wx.codes.push('sandbox-errcode-40226')
  const errors = await Promise.all(times(20, () => rejection(client.request({ url: '/api/a' }))))
  t.ok(errors.every((error) => error?.code === 'login_blocked' && error.status === 403))
  t.equal(wire.requests.length, 1)
  wx.isLoginBroken = true
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'login_failed', errMsg: /^login:fail/ })
})

test('wx.login is called at most four times per second', async (t) => {
  const { client, wx } = await startPhone(t)
  for (let count = 0; count < 6; count++) await client.login({ force: true })
  t.equal(wx.calls.login, 6, 'the test wx fails the test at more than four per second')
})

test('repeated losses of the network leave one session', async (t) => {
  const { client, wire, wx, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  let seen = 0
  wire.fault = ({ path }) => (path.startsWith('/auth/') && seen++ < 3 ? 'lose-answer' : null)
  const first = await Promise.all(times(10, () => rejection(client.request({ url: '/api/a' }))))
  t.ok(first.every((error) => error?.code === 'network'))
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200)
  t.ok(wx.calls.login <= 2)
  t.equal(wx.storage.size, 1)
})
