/** Users: new ones, the same person in another mini-program, and the data for backends. */
import { type Test, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { createUsers } from '../src/identity/users.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { createTestClock } from './support/clock.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, SECRET, SERVICE_TOKEN } from './support/gateway.ts'
import {
  enter,
  type Group,
  type Instance,
  nextReading,
  post,
  read,
  refresh,
  startBackend,
  startGroup,
  verdict
} from './support/instances.ts'
import { wechatKeys } from './support/record-keys.ts'
import { quietLog } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

const DAY = 86_400_000
const ONE_APP_TOKEN = 'canary-one-app-token-0123456789'

function build() {
  const clock = createTestClock()
  const store = createMemoryStore({ clock, log: quietLog() })
  const users = createUsers({
    store,
    sealer: createSealer(createKeyRing([SECRET]), 'records'),
    clock,
    keys: wechatKeys
  })
  return { users, store, clock }
}

test('the first login makes a user, anonymous and with its own id; later ones return it', async (t) => {
  const { users, clock } = build()
  const first = await users.recordLogin(APPID, 'oAlice', null)
  t.match(first, {
    isNew: true,
    user: { id: /^u_[\w-]{20}$/, status: 'anonymous', unionId: null, epoch: 0, phone: null }
  })
  t.notMatch(first.user.id, 'oAlice')
  const since = clock.now()
  clock.advance(3 * DAY)
  const second = await users.recordLogin(APPID, 'oAlice', null)
  t.same(second.isNew, false)
  const sessionIds = [first.sessionId, second.sessionId]
  t.same(second.user, { ...first.user, lastLogin: since + 3 * DAY, sessionIds })
  t.equal(second.user.firstLogin, since)
  t.not((await users.recordLogin(APPID, 'oBob', null)).user.id, first.user.id)
  t.not((await users.recordLogin(OTHER_APPID, 'oAlice', null)).user.id, first.user.id, 'an openid belongs to one app')
  clock.advance(20 * 365 * DAY)
  t.equal((await users.find(APPID, 'oAlice'))?.id, first.user.id, 'users do not expire')
})

test('a unionid is recorded when WeChat returns it, and kept when it does not', async (t) => {
  const { users } = build()
  const { user } = await users.recordLogin(APPID, 'oAlice', null)
  t.match(await users.recordLogin(APPID, 'oAlice', 'uAlice'), {
    isNew: false,
    user: { id: user.id, unionId: 'uAlice' }
  })
  t.equal((await users.recordLogin(APPID, 'oAlice', null)).user.unionId, 'uAlice')
  t.equal((await users.find(APPID, 'oAlice'))?.unionId, 'uAlice')
})

test('the same unionid in two mini-programs is one person, new once', async (t) => {
  const { users } = build()
  const one = await users.recordLogin(APPID, 'oAlice1', 'uAlice')
  const two = await users.recordLogin(OTHER_APPID, 'oAlice2', 'uAlice')
  t.equal(two.user.id, one.user.id)
  t.same([one.isNew, two.isNew], [true, false])
  const bob = await users.recordLogin(OTHER_APPID, 'oBob', 'uBob')
  t.not(bob.user.id, one.user.id)
  t.equal(bob.isNew, true)
})

test('an account that joins an Open Platform later links later accounts; ids never change', async (t) => {
  const { users } = build()
  const one = await users.recordLogin(APPID, 'oAlice1', null)
  t.equal((await users.recordLogin(APPID, 'oAlice1', 'uAlice')).user.id, one.user.id)
  const two = await users.recordLogin(OTHER_APPID, 'oAlice2', 'uAlice')
  t.same([two.user.id, two.isNew], [one.user.id, false])
  // Both existed before: each keeps the id that backends know, and has the unionid to be matched
  // by.
  const [bob, bobby] = [
    await users.recordLogin(APPID, 'oBob1', null),
    await users.recordLogin(OTHER_APPID, 'oBob2', null)
  ]
  const [bobNow, bobbyNow] = [
    await users.recordLogin(APPID, 'oBob1', 'uBob'),
    await users.recordLogin(OTHER_APPID, 'oBob2', 'uBob')
  ]
  t.same([bobNow.user.id, bobbyNow.user.id], [bob.user.id, bobby.user.id])
  t.same([bobNow.user.unionId, bobbyNow.user.unionId], ['uBob', 'uBob'])
})

test('of two first logins with a unionid one is new, whichever claims the unionid and whichever makes the user', async (t) => {
  for (const prefix of ['user:', 'union:']) {
    const { users, store, clock } = build()
    const gate = Promise.withResolvers<void>()
    const arrival = Promise.withResolvers<void>()
    // One instance stops for a moment before it writes; the other one overtakes it.
    const slow: Store = {
      ...store,
      async setIfAbsent(key, value, ttl) {
        if (key.startsWith(prefix)) {
          arrival.resolve()
          await gate.promise
        }
        return store.setIfAbsent(key, value, ttl)
      }
    }
    const sealer = createSealer(createKeyRing([SECRET]), 'records')
    const first = createUsers({ store: slow, sealer, clock, keys: wechatKeys }).recordLogin(APPID, 'oAlice', 'uAlice')
    await arrival.promise
    const second = await users.recordLogin(APPID, 'oAlice', 'uAlice')
    gate.resolve()
    const both = [await first, second]
    t.equal(both[0]?.user.id, both[1]?.user.id, prefix)
    t.equal(both.filter(({ isNew }) => isNew).length, 1, prefix)
  }
})

test('a login that broke off before the unionid was recorded is completed by the next one', async (t) => {
  const { users, store, clock } = build()
  const { user } = await users.recordLogin(APPID, 'oAlice', null)
  const broken = { ...store, setIfAbsent: () => Promise.reject(new Error('killed')) }
  const sealer = createSealer(createKeyRing([SECRET]), 'records')
  await t.rejects(
    createUsers({ store: broken, sealer, clock, keys: wechatKeys }).recordLogin(APPID, 'oAlice', 'uAlice')
  )
  t.equal((await users.find(APPID, 'oAlice'))?.unionId, 'uAlice', 'the first half was done')
  t.equal((await users.recordLogin(APPID, 'oAlice', 'uAlice')).user.id, user.id)
  const other = await users.recordLogin(OTHER_APPID, 'oAlice2', 'uAlice')
  t.same([other.user.id, other.isNew], [user.id, false], 'linked')
})

test('a first login that broke off halfway leaves the person new', async (t) => {
  const { users, store } = build()
  const broken = {
    ...store,
    setIfAbsent: (key: string, value: string, ttl: number) => {
      if (key.startsWith('user:')) return Promise.reject(new Error('killed'))
      return store.setIfAbsent(key, value, ttl)
    }
  }
  const sealer = createSealer(createKeyRing([SECRET]), 'records')
  await t.rejects(
    createUsers({ store: broken, sealer, clock: createTestClock(), keys: wechatKeys }).recordLogin(
      APPID,
      'oAlice',
      'uAlice'
    )
  )
  t.equal((await users.recordLogin(OTHER_APPID, 'oAlice2', 'uAlice')).isNew, false)
  t.equal((await users.recordLogin(APPID, 'oAlice', 'uAlice')).isNew, true)
  t.equal((await users.recordLogin(APPID, 'oAlice', 'uAlice')).isNew, false)
})

test('no call affects a user who never logged in', async (t) => {
  const { users } = build()
  t.equal(await users.find(APPID, 'oNobody'), null)
  t.equal(await users.endSessions(APPID, 'oNobody'), null)
  t.equal(await users.bindPhone(APPID, 'oNobody', { phoneNumber: '13800000000', countryCode: '86' }), null)
  t.equal(await users.find(APPID, 'oNobody'), null)
})

test('every end of all sessions counts, also many at once', async (t) => {
  const { users } = build()
  await users.recordLogin(APPID, 'oAlice', null)
  const ended = await Promise.all(Array.from({ length: 10 }, () => users.endSessions(APPID, 'oAlice')))
  t.same(new Set(ended.map((user) => user?.epoch)).size, 10)
  t.equal((await users.recordLogin(APPID, 'oAlice', null)).user.epoch, 10)
})

async function group(t: Test): Promise<Group | null> {
  const backend = await startBackend(t, 'sqlite')
  return backend && startGroup(t, backend)
}

const recordOf = async (instance: Instance, openId: string, appId = APPID) =>
  JSON.parse((await read(await instance.service(`/v1/users/${appId}/${openId}`, { token: SERVICE_TOKEN }))).text) as {
    id: string
    unionid: string
    first_login: string
    last_login: string
  }

test('a login answers with the user, the record has first and last login, and the upstream receives the id', async (t) => {
  const all = await group(t)
  if (!all) return
  const { a, b, clock, upstream, sandbox } = all
  const { openId, unionId } = sandbox.state.people.person(APPID, 'alice')
  const since = new Date(clock.now()).toISOString()
  const first = await enter(a, 'alice')
  t.match(first.user, { is_new: true, status: 'anonymous' })
  t.same(Object.keys(first).sort(), [
    'access_token',
    'expires_in',
    'refresh_expires_in',
    'refresh_token',
    'status',
    'token_type',
    'user'
  ])
  clock.advance(DAY)
  const second = await enter(b, 'alice')
  t.same(second.user, { ...first.user, is_new: false })
  t.match(await recordOf(a, openId), {
    id: first.user.id,
    unionid: unionId,
    first_login: since,
    last_login: new Date(clock.now()).toISOString()
  })
  t.equal(await verdict(a, second.access_token), '200')
  t.match(upstream.seen.at(-1)?.headers, {
    'x-openid': openId,
    'x-unionid': unionId,
    'x-appid': APPID,
    'x-user-id': first.user.id,
    'x-user-status': 'anonymous'
  })
  const other = await enter(a, 'alice', OTHER_APPID)
  t.same([other.user.id, other.user.is_new], [first.user.id, false], 'linked by the unionid')
})

test('a user becomes bound everywhere from the next reading of the feed on, also in earlier tokens', async (t) => {
  const all = await group(t)
  if (!all) return
  const { a, b, upstream, sandbox } = all
  const login = await enter(a, 'alice')
  const statusAt = async (instance: Instance, token: string) => {
    await verdict(instance, token)
    return upstream.seen.at(-1)?.headers['x-user-status']
  }
  t.same([await statusAt(a, login.access_token), await statusAt(b, login.access_token)], ['anonymous', 'anonymous'])
  const code = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: APPID })
  const bound = await post(a, '/auth/phone', { code }, login.access_token)
  t.match(bound, { status: 200, user: { id: login.user.id, status: 'bound' } })
  t.equal(await statusAt(a, login.access_token), 'bound', 'at once')
  await nextReading(b)
  t.equal(await statusAt(b, login.access_token), 'bound', 'elsewhere')
  const next = await refresh(b, login.refresh_token)
  t.match(Buffer.from(next.access_token.split('.')[1] ?? '', 'base64url').toString(), '"status":"bound"')
  t.equal((await enter(b, 'alice')).user.status, 'bound')
  t.equal((await enter(b, 'bob')).user.status, 'anonymous')
})

test('two ids of one person are linked once, in the log, for the hook and for backends', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => void res.end('{}'))
  const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
  const hook = { upstream: 'app', path: '/hooks/login', timeout: '1s', onFailure: 'refuse' }
  const gateway = await buildTestGateway(t, upstream.url, { config: { apps, login: { hook } } })
  const first = await gateway.login('sandbox-no-unionid-alice', APPID)
  const second = await enter(gateway, 'alice', OTHER_APPID)
  t.not(first.user.id, second.user.id)
  const ids = async (id: string) =>
    JSON.parse((await read(await gateway.service(`/v1/users/${id}`, { token: SERVICE_TOKEN }))).text)
  t.match(await ids(first.user.id), { linked_ids: [] })
  const third = await enter(gateway, 'alice', APPID)
  await enter(gateway, 'alice', APPID)
  t.equal(third.user.id, first.user.id, 'the id stays')
  const lines = gateway.lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'user_linked')
  t.match(lines, [{ app: APPID, user: first.user.id, linked_ids: [second.user.id] }])
  t.equal(lines.length, 1)
  const bodies = upstream.seen.map((seen) => JSON.parse(seen.body))
  t.same(
    bodies.map(({ event, user }) => [event, user.id, user.linked_ids]),
    [
      [undefined, first.user.id, undefined],
      [undefined, second.user.id, undefined],
      ['user_linked', first.user.id, [second.user.id]],
      [undefined, first.user.id, [second.user.id]]
    ]
  )
  t.match(await ids(first.user.id), { id: first.user.id, linked_ids: [second.user.id] })
  t.match(await ids(second.user.id), { id: second.user.id, linked_ids: [first.user.id] })
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  t.match(await ids(`${APPID}/${openId}`), { id: first.user.id, linked_ids: [second.user.id] })
})

test('a user is found and kicked by id, over all mini-programs that the token covers', async (t) => {
  const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
  const tokens = [
    { name: 'all', token: SERVICE_TOKEN, scopes: ['session', 'admin'] },
    { name: 'one', token: ONE_APP_TOKEN, scopes: ['session', 'admin'], apps: [APPID] }
  ]
  const service = { host: '127.0.0.1', port: 2, tokens }
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { config: { apps, service } })
  const [one, other] = [await enter(gateway, 'alice', APPID), await enter(gateway, 'alice', OTHER_APPID)]
  const bob = await enter(gateway, 'bob', APPID)
  const ask = (path: string, token: string, method = 'GET') => gateway.service(`/v1/users/${path}`, { method, token })
  const find = async (id: string, token = SERVICE_TOKEN) => JSON.parse((await read(await ask(id, token))).text)
  const { people } = gateway.sandbox.state
  const accounts = [APPID, OTHER_APPID].map((appid) => ({ appid, openid: people.person(appid, 'alice').openId }))
  t.match(await find(one.user.id), { id: one.user.id, status: 'anonymous', accounts })
  t.same((await find(one.user.id, ONE_APP_TOKEN)).accounts, accounts.slice(0, 1))
  t.match(await find('u_unknown'), { status: 404, code: 'not_found' })
  t.equal((await ask('x_alice', SERVICE_TOKEN)).status, 400)
  t.equal((await ask(`${one.user.id}/sessions`, ONE_APP_TOKEN, 'DELETE')).status, 204)
  t.same(
    [await verdict(gateway, one.access_token), await verdict(gateway, other.access_token)],
    ['session_revoked', '200']
  )
  t.equal((await ask(`${one.user.id}/sessions`, SERVICE_TOKEN, 'DELETE')).status, 204)
  t.equal(await verdict(gateway, other.access_token), 'session_revoked')
  t.equal((await refresh(gateway, other.refresh_token)).code, 'refresh_invalid')
  t.equal(await verdict(gateway, bob.access_token), '200')
  t.equal((await ask('u_unknown/sessions', SERVICE_TOKEN, 'DELETE')).status, 404)
})

const OLD = 'the-old-secret-of-more-than-32-characters'
const NEW = 'the-new-secret-of-more-than-32-characters'

test('a phone number sealed under an older secret outlives it once its user has logged in', async (t) => {
  const store = await openStore('memory:', { clock: systemClock, log: quietLog() })
  t.teardown(() => store.close())
  const under = (...secrets: string[]) =>
    createUsers({
      store,
      sealer: createSealer(createKeyRing(secrets), 'records'),
      clock: systemClock,
      keys: wechatKeys
    })
  const phone = { phoneNumber: '13800000000', countryCode: '86' }

  for (const openId of ['oReturning', 'oAbsent']) {
    await under(OLD).recordLogin(APPID, openId, null)
    await under(OLD).bindPhone(APPID, openId, phone)
  }
  await under(NEW, OLD).recordLogin(APPID, 'oReturning', null)

  t.same((await under(NEW).find(APPID, 'oReturning'))?.phone, phone)
  t.equal((await under(NEW).find(APPID, 'oAbsent'))?.phone, null)
  t.equal((await under(NEW).find(APPID, 'oAbsent'))?.status, 'bound')
})
