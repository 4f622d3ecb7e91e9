/** A store of 0.1.0 stays usable: its users, sessions and keys, with instances of 0.1.0 beside
 *  the new ones. */
import { createHmac } from 'node:crypto'
import { type Test, test } from 'tap'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import type { UserRecord } from '../src/identity/user-records.ts'
import { type FormerLogin, type FormerStore, openFormerStore, refreshTokenOf } from './support/former-store.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  SECRET,
  SERVICE_TOKEN,
  type TestGateway
} from './support/gateway.ts'
import { type Answer, enter, post, read, refresh, verdict } from './support/instances.ts'
import { startUpstream } from './support/upstream.ts'

const HOUR = 3_600_000
const CENTURY = 876_000 * HOUR

interface Former extends FormerStore {
  readonly gateway: TestGateway
  find(name: string, appid?: string): FormerLogin
}

function overFormerStores(title: string, rule: (t: Test, former: Former) => Promise<void>): void {
  for (const kind of ['sqlite', 'redis'] as const) {
    test(`${title} (${kind})`, async (t) => {
      const former = await openFormerStore(t, kind)
      if (former === null) return
      const upstream = await startUpstream(t)
      const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
      const { url: store, clock } = former
      const gateway = await buildTestGateway(t, upstream.url, { store, clock, config: { apps } })
      const find = (name: string, appid = APPID) => {
        const login = former.logins.findLast((one) => one.name === name && one.appid === appid)
        if (login === undefined) throw new Error(`no login of ${name}`)
        return login
      }
      await rule(t, { ...former, gateway, find })
    })
  }
}

const service = async (gateway: TestGateway, path: string, init: RequestInit = {}): Promise<Answer> =>
  read(await gateway.service(path, { token: SERVICE_TOKEN, ...init }))

const recordAt = async ({ store }: TestGateway, key: string): Promise<UserRecord | null> => {
  const text = await store.get(key)
  return text === undefined ? null : (JSON.parse(text) as UserRecord)
}

overFormerStores('users keep their ids, are not new, and move to keys that name the platform', async (t, former) => {
  const { gateway, find } = former
  for (const { name, appid } of [find('alice'), find('alice', OTHER_APPID), find('bob'), find('carol')]) {
    const { user } = await enter(gateway, name, appid)
    t.match(
      user,
      {
        id: find(name, appid).id,
        is_new: false,
        status: find(name, appid).id === find('alice').id && appid === APPID ? 'bound' : 'anonymous'
      },
      `${name} ${appid}`
    )
  }
  const alice = find('alice')
  const key = `${APPID}:${alice.openid}`
  t.match(await recordAt(gateway, `user:wechat:${key}`), { id: alice.id, unionid: alice.unionid, status: 'bound' })
  t.match(await recordAt(gateway, `union:wechat-open:${alice.unionid}`), { id: alice.id, maker: key })
  t.equal(await gateway.store.get(`user:${key}`), await gateway.store.get(`user:wechat:${key}`), 'for 0.1.0')
  t.ok(await gateway.store.get(`key:wechat:${key}`))
  t.notMatch(await gateway.store.get(`key:${key}`), 'current', 'removed')
  const phone = await service(gateway, `/v1/users/${APPID}/${alice.openid}`)
  t.match(phone, { status: 200, phone: { country_code: '86' } })
  t.match((await enter(gateway, 'erin')).user, { is_new: true })
  t.match((await enter(gateway, 'erin')).user, { is_new: false })
})

overFormerStores('sessions go on, and ended ones stay ended', async (t, { gateway, clock, logins, find }) => {
  const first = await refresh(gateway, refreshTokenOf(find('alice')))
  t.equal(first.status, 200)
  t.equal(await verdict(gateway, first.access_token), '200')
  t.equal((await refresh(gateway, first.refresh_token)).status, 200)
  t.equal((await refresh(gateway, refreshTokenOf(find('bob')))).status, 200)
  const ended = logins.find(({ name }) => name === 'bob')
  t.equal(ended && (await refresh(gateway, refreshTokenOf(ended))).code, 'refresh_invalid', 'by logout-all')
  const carol = find('carol')
  t.equal((await refresh(gateway, refreshTokenOf(carol))).code, 'refresh_invalid', 'by logout')
  const subject = {
    appId: carol.appid,
    openId: carol.openid,
    unionId: null,
    userId: carol.id,
    sessionId: carol.session
  }
  const rest = { epoch: 0, status: 'anonymous', claims: {} } as const
  const { accessTokens } = gateway.gateway.parts
  const token = accessTokens.sign({ ...subject, ...rest }, clock.now(), clock.now() + HOUR)
  t.equal(await verdict(gateway, token), 'session_revoked', 'by the feed')
})

overFormerStores('a session_key of 0.1.0 signs and moves to its new key', async (t, { gateway, find }) => {
  const { appid, openid } = find('alice')
  const stored = JSON.parse((await gateway.store.get(`key:${appid}:${openid}`)) ?? '') as {
    current: { key: string; at: number }
  }
  const sealer = createSealer(createKeyRing([SECRET]), 'records')
  const { key, at } = stored.current
  const sessionKey = sealer.open(key, `session_key:1:${appid}:${openid}:${at}`)?.text ?? ''
  const body = JSON.stringify({ appid, openid, body: 'x' })
  const headers = { 'content-type': 'application/json' }
  const signature = createHmac('sha256', sessionKey).update('x').digest('hex')
  t.match(await service(gateway, '/v1/sign', { method: 'POST', headers, body }), { status: 200, signature })
  t.ok(await gateway.store.get(`key:wechat:${appid}:${openid}`))
  t.notMatch(await gateway.store.get(`key:${appid}:${openid}`), 'current', 'removed')
  t.match(await service(gateway, '/v1/sign', { method: 'POST', headers, body }), { status: 200, signature })
})

overFormerStores('logout-all and kicks end sessions of 0.1.0', async (t, { gateway, find }) => {
  const { access_token: token } = await refresh(gateway, refreshTokenOf(find('alice')))
  t.equal((await post(gateway, '/auth/logout', { all: true }, token)).status, 204)
  t.equal((await refresh(gateway, refreshTokenOf(find('alice')))).code, 'refresh_invalid')
  const bob = find('bob')
  const kicked = await service(gateway, `/v1/users/${APPID}/${bob.openid}/sessions`, { method: 'DELETE' })
  t.equal(kicked.status, 204)
  t.equal((await refresh(gateway, refreshTokenOf(bob))).code, 'refresh_invalid')
  t.equal((await recordAt(gateway, `user:${APPID}:${bob.openid}`))?.epoch, 2, 'for 0.1.0 too')
  const dave = find('dave', OTHER_APPID)
  t.equal((await service(gateway, `/v1/sessions/${dave.session}`, { method: 'DELETE' })).status, 204)
  t.equal((await refresh(gateway, refreshTokenOf(dave))).code, 'refresh_invalid')
})

overFormerStores('changes by an instance of 0.1.0 are taken over', async (t, { gateway, find }) => {
  const { openid } = find('alice')
  const [key, formerKey] = [`user:wechat:${APPID}:${openid}`, `user:${APPID}:${openid}`]
  const login = await enter(gateway, 'alice')
  const record = await recordAt(gateway, formerKey)
  // As 0.1.0 ends all sessions: it knows the former key alone.
  await gateway.store.set(formerKey, JSON.stringify({ ...record, epoch: 1 }), CENTURY)
  t.equal((await refresh(gateway, login.refresh_token)).code, 'refresh_invalid')
  const after = await enter(gateway, 'alice')
  t.equal(after.user.id, find('alice').id)
  t.equal((await refresh(gateway, after.refresh_token)).status, 200)
  t.equal((await recordAt(gateway, key))?.epoch, 1)
  const phone = (await recordAt(gateway, formerKey))?.phone
  t.ok(phone)
  // As 0.1.0 binds a phone number.
  await gateway.store.set(formerKey, JSON.stringify({ ...record, epoch: 1, phone: 'sealed-later' }), CENTURY)
  await enter(gateway, 'alice')
  t.match(await recordAt(gateway, key), { phone: 'sealed-later', epoch: 1 })
})

overFormerStores('a user made on one side is the same user on the other', async (t, { gateway }) => {
  const { openId, unionId } = gateway.sandbox.state.people.person(APPID, 'frank')
  const made = await enter(gateway, 'frank')
  t.equal((await recordAt(gateway, `user:${APPID}:${openId}`))?.id, made.user.id, '0.1.0 finds the user')
  t.equal((await recordAt(gateway, `union:${unionId}`))?.id, made.user.id, 'and the person')
  const grace = gateway.sandbox.state.people.person(APPID, 'grace')
  const now = Date.UTC(2026, 10, 30)
  const times = { first_login: now, last_login: now }
  const record = { id: 'u_by_0_1_0', status: 'anonymous', epoch: 0, unionid: grace.unionId, phone: null, ...times }
  const union = { id: 'u_by_0_1_0', maker: `${APPID}:${grace.openId}` }
  await gateway.store.set(`union:${grace.unionId}`, JSON.stringify(union), CENTURY)
  await gateway.store.set(`user:${APPID}:${grace.openId}`, JSON.stringify(record), CENTURY)
  t.match((await enter(gateway, 'grace')).user, { id: 'u_by_0_1_0', is_new: false })
  t.match((await enter(gateway, 'grace', OTHER_APPID)).user, { id: 'u_by_0_1_0', is_new: false })
})

overFormerStores('a user of 0.1.0 is found and kicked by id before any login', async (t, { gateway, find }) => {
  const [alice, other, bob] = [find('alice'), find('alice', OTHER_APPID), find('bob')]
  const found = await service(gateway, `/v1/users/${alice.id}`)
  t.match(found, { status: 200, text: alice.openid })
  t.match(found.text, other.openid)
  t.equal((await service(gateway, `/v1/users/${alice.id}/sessions`, { method: 'DELETE' })).status, 204)
  for (const login of [alice, other]) t.equal((await refresh(gateway, refreshTokenOf(login))).code, 'refresh_invalid')
  t.equal((await refresh(gateway, refreshTokenOf(bob))).status, 200)
  t.match(await service(gateway, `/v1/users/${bob.id}`), { status: 200, text: bob.openid })
})

overFormerStores('two ids that 0.1.0 gave to one person are linked at the next login', async (t, { gateway, find }) => {
  const [first, second] = [find('dave'), find('dave', OTHER_APPID)]
  t.not(first.id, second.id)
  t.equal((await enter(gateway, 'dave')).user.id, first.id)
  t.equal((await enter(gateway, 'dave', OTHER_APPID)).user.id, second.id)
  const lines = gateway.lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'user_linked')
  t.match(lines, [{ user: first.id, linked_ids: [second.id] }])
  t.match(await service(gateway, `/v1/users/${second.id}`), { linked_ids: [first.id] })
})
