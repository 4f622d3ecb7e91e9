/** Logout of the mini-program client, and the calls that wait meanwhile. */
import { test } from 'tap'
import { HOUR, problem, rejection, startPhone, times } from './support/phone.ts'
import { idle } from './support/timers.ts'

test('logout ends the session on the phone and at the gateway', async (t) => {
  const { client, restart, wx, gateway } = await startPhone(t)
  const ends: unknown[] = []
  const stop = client.onSessionEnd((end) => ends.push(end.code))
  await client.login()
  const token = JSON.parse([...wx.storage.values()][0] ?? '').session.accessToken
  t.equal((await gateway.call('/auth/session', { token })).status, 200)
  t.equal((await client.logout()).ended, true)
  t.equal(wx.storage.size, 0)
  t.equal(client.currentUser(), null)
  t.equal(restart().currentUser(), null)
  t.equal((await gateway.call('/auth/session', { token })).status, 401)
  t.same(ends, ['logout'])
  stop()
  t.equal((await client.logout()).ended, true, 'without a session it does nothing')
  await client.login()
  await client.logout({ all: true })
  t.same(ends, ['logout'], 'a removed listener is not called')
})

test('logout with an expired token also ends the session at the gateway', async (t) => {
  const { client, wire, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  t.equal((await client.logout({ all: true })).ended, true)
  t.equal(wire.count('/auth/logout'), 2)
  t.equal(wire.count('/auth/refresh'), 1)
})

test('logout clears the phone without a network, and reports that the gateway was not reached', async (t) => {
  const { client, wx, wire } = await startPhone(t)
  await client.login()
  wire.fault = () => 'lose-request'
  const leaving = client.logout()
  t.equal(wx.storage.size, 0, 'at once')
  t.equal((await leaving).ended, false)
  t.equal(client.currentUser(), null)
})

test('a call that waits while the user logs out does not log in again', async (t) => {
  const { client, wx, wire, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  const answer = rejection(client.request({ url: '/api/a' }))
  while (wire.count('/api/a') === 0) await idle()
  t.equal((await client.logout()).ended, true)
  t.match(await answer, { code: 'logged_out' })
  t.equal(wx.storage.size, 0)
  t.equal(wx.calls.login, 1)
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200, 'the next call logs in')
  t.equal(wx.calls.login, 2)
})

test('a refresh that is refused after the user logged out does not log in again', async (t) => {
  const { client, wx, wire, clock } = await startPhone(t)
  await client.login()
  clock.advance(3 * HOUR)
  let leaving: Promise<unknown> | undefined
  wire.fault = ({ path }) => {
    if (path !== '/auth/refresh') return null
    leaving = client.logout()
    return problem(401, 'refresh_invalid', 'login')
  }
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'logged_out' })
  wire.fault = () => null
  await leaving
  t.equal(wx.calls.login, 1)
  t.equal(wx.storage.size, 0)
})

test('a login under way when the user logs out is not kept', async (t) => {
  const { client, wx, wire } = await startPhone(t)
  const login = rejection(client.login())
  const leaving = client.logout()
  t.match(await login, { code: 'logged_out' })
  t.equal((await leaving).ended, true)
  t.equal(wire.count('/auth/logout'), 1, 'the session it made is ended')
  t.equal(wx.storage.size, 0)
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
