/** The mini-program client beside the gateway's rules for repeats: attempts, spent codes, and calls that wait during a logout. */
import { test } from 'tap'
import { HOUR, type Phone, problem, rejection, startPhone, times } from './support/phone.ts'
import { idle } from './support/timers.ts'

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
  t.equal(phone.wx.calls.login, 1, 'the gateway took it for a repeat')
  phone.clock.advance(3 * HOUR)
  await again.request({ url: '/api/a' })
  const [first, second, afterRestart, next] = attempts(phone, '/auth/refresh')
  t.match(first, /^[A-Za-z0-9]{16,64}$/)
  t.same([second, afterRestart], [first, first])
  t.not(next, first)
})

test('a session that version 0.1.0 stored goes on', async (t) => {
  const phone = await startPhone(t)
  await phone.client.login()
  const [[key, text] = ['', '']] = [...phone.wx.storage]
  const stored = JSON.parse(text)
  delete stored.session.attempt
  phone.wx.storage.set(key, JSON.stringify(stored))
  phone.clock.advance(3 * HOUR)
  t.equal((await phone.restart().request({ url: '/api/a' })).statusCode, 200)
  t.equal(phone.wx.calls.login, 1)
  t.match(attempts(phone, '/auth/refresh'), [/^[A-Za-z0-9]{16,64}$/])
})

test('a phone code that WeChat refuses costs no login', async (t) => {
  const phone = await startPhone(t)
  await phone.client.login()
  phone.wire.fault = ({ path }) => (path === '/auth/phone' ? problem(400, 'phone_code_invalid', 'none') : null)
  t.match(await rejection(phone.client.bindPhone('spent')), { code: 'phone_code_invalid', status: 400, action: 'none' })
  phone.wire.fault = ({ path }) => (path === '/auth/phone' ? problem(401, 'code_used', 'login') : null)
  t.match(
    await rejection(phone.client.bindPhone('spent')),
    { code: 'code_used' },
    'as version 0.1.0 of the gateway says'
  )
  t.equal(phone.wx.calls.login, 1)
  t.equal(phone.wire.count('/auth/phone'), 2)
  t.ok(phone.client.currentUser())
})

test('a call that waits for its place while the user logs out is not sent', async (t) => {
  const { client, wire } = await startPhone(t)
  await client.login()
  wire.fault = ({ path }) => (path === '/api/slow' ? 'hang' : null)
  const slow = times(10, () => client.request({ url: '/api/slow' }))
  const ended = Promise.all(slow.map((call) => rejection(call)))
  while (wire.count('/api/slow') < 10) await idle()
  const waiting = rejection(client.request({ url: '/api/late', method: 'POST' }))
  await idle()
  const leaving = client.logout()
  for (const call of slow) call.abort()
  t.match(await waiting, { code: 'logged_out' })
  t.equal((await leaving).ended, true)
  t.equal(wire.count('/api/late'), 0)
  await ended
})
