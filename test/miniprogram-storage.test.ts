/** Sessions of the mini-program client: stored, shared among clients, and bound to one
 *  mini-program. */
import { test } from 'tap'
import { APPID, OTHER_APPID } from './support/gateway.ts'
import { HOUR, rejection, startPhone, times } from './support/phone.ts'

test('a session survives the end of the mini-program', async (t) => {
  const { client, restart, wx, wire } = await startPhone(t)
  const user = await client.login()
  t.equal(user.is_new, true)
  const again = restart()
  t.same({ ...again.currentUser() }, { id: user.id, status: 'anonymous' }, 'who is no longer new')
  t.equal((await again.request({ url: '/api/a' })).statusCode, 200)
  t.equal(wx.calls.login, 1)
  t.equal(wire.count('/auth/refresh'), 0)
})

test('a damaged or failing storage costs a login and nothing else', async (t) => {
  const { client, restart, wx } = await startPhone(t)
  await client.login()
  const [key] = [...wx.storage.keys()]
  const stored = wx.storage.get(key ?? '') ?? ''
  const good = JSON.parse(stored)
  const broken = [
    '"text"',
    'null',
    '[]',
    '{}',
    '5',
    JSON.stringify({ ...good, version: 99 }),
    JSON.stringify({ ...good, session: null }),
    JSON.stringify({ ...good, session: { ...good.session, accessToken: 'a\r\nb' } }),
    JSON.stringify({ ...good, session: { ...good.session, user: null } }),
    JSON.stringify({ ...good, session: { ...good.session, expiresAt: 'soon' } }),
    JSON.stringify({ ...good, base: 'https://other.example' })
  ]
  for (const [index, text] of broken.entries()) {
    wx.storage.set(key ?? '', text)
    t.equal(restart().currentUser(), null, `nonsense ${index}`)
  }
  const wrong = { ...good.session, accessToken: 'x', refreshToken: 'y' }
  wx.storage.set(key ?? '', JSON.stringify({ ...good, session: wrong }))
  t.equal((await restart().request({ url: '/api/a' })).statusCode, 200, 'invalid tokens')
  wx.isStorageBroken = true
  const client2 = restart()
  t.equal((await client2.request({ url: '/api/a' })).statusCode, 200)
  t.equal((await client2.request({ url: '/api/a' })).statusCode, 200)
  t.same({ ...(await client2.logout()) }, { ended: true })
  t.equal(wx.calls.login, 3)
})

test("several clients share one session, one login, and WeChat's limits", async (t) => {
  const { client, program, wire, wx, clock } = await startPhone(t)
  const other = program.createClient({ baseUrl: `${wire.url}/` })
  const load = () =>
    Promise.all(times(40, (index) => (index % 2 ? client : other).request({ url: '/api/a', data: { index } })))
  await load()
  t.equal(wx.calls.login, 1)
  t.equal(wx.peak, 10)
  clock.advance(3 * HOUR)
  await load()
  t.equal(wire.count('/auth/refresh'), 1)
  const apart = program.createClient({ baseUrl: wire.url, storageKey: 'another' })
  await apart.login()
  t.equal(wx.storage.size, 2)
  await client.logout()
  t.equal(other.currentUser(), null)
  t.ok(apart.currentUser())
})

test('the appid is sent when the gateway serves several mini-programs', async (t) => {
  const { client, restart } = await startPhone(t, {
    config: {
      apps: [
        { appid: APPID, name: 'shop', secret: 'canary-appsecret-0123456789abcdef' },
        { appid: OTHER_APPID, name: 'staff', secret: 'canary-appsecret-0123456789abcdef' }
      ]
    }
  })
  t.match(await rejection(client.login()), { code: 'invalid_request', status: 400 })
  const staff = restart({ appid: OTHER_APPID })
  await staff.login()
  t.equal((await staff.session()).appid, OTHER_APPID)
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
  const [refresh] = phone.wire.requests.filter(({ path }) => path === '/auth/refresh')
  t.match(JSON.parse(refresh?.body ?? ''), { attempt: /^[A-Za-z0-9]{16,64}$/ })
})
