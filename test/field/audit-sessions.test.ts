/** Ended sessions stay ended, whatever the store, the clock or a second sender does. */
import { type Test, test } from 'tap'
import { createRevocations } from '../../src/identity/revocations.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestClock } from '../support/clock.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, type TestGateway } from '../support/gateway.ts'
import { quietLog } from '../support/store.ts'

const ATTEMPT = 'attempt-of-one-sender'
const OTHER = 'attempt-of-another-one'
const UPSTREAM = 'http://127.0.0.1:9'

async function post(gateway: TestGateway, path: string, body: object, token?: string) {
  const init = { method: 'POST', body: JSON.stringify(body), ...(token === undefined ? {} : { token }) }
  const response = await gateway.call(path, init)
  const text = await response.text()
  return { status: response.status, text, ...(text === '' ? {} : JSON.parse(text)) }
}

const build = (t: Test, config: Record<string, unknown> = {}) => buildTestGateway(t, UPSTREAM, { config })
const refresh = (gateway: TestGateway, token: string, attempt?: string) =>
  post(gateway, '/auth/refresh', { refresh_token: token, ...(attempt === undefined ? {} : { attempt }) })

test('after a lost write of logout-all new logins work, the old refresh token does not, and the record is repaired', async (t) => {
  const gateway = await build(t)
  const old = await gateway.login('sandbox-alice-1')
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const { users, sessions } = gateway.gateway.parts
  t.equal((await post(gateway, '/auth/logout', { all: true }, old.access_token)).status, 204)
  for (const key of [`user:${APPID}:${openId}`, `user:wechat:${APPID}:${openId}`]) {
    const stored = await gateway.store.get(key)
    if (stored !== undefined) await gateway.store.set(key, stored.replace('"epoch":1', '"epoch":0'), 3_600_000)
  }
  t.equal((await users.find(APPID, openId))?.epoch, 0, 'the store has lost it')
  t.equal((await refresh(gateway, old.refresh_token)).code, 'refresh_invalid')
  const fresh = await gateway.login('sandbox-alice-2')
  t.equal((await gateway.call('/auth/session', { token: fresh.access_token })).status, 200)
  t.equal((await users.find(APPID, openId))?.epoch, 1)
  t.ok(await sessions.find(fresh.refresh_token.split('.')[2] ?? ''))
})

test('a session whose end the store has lost is not refreshed', async (t) => {
  const gateway = await build(t)
  const login = await gateway.login('alice')
  const key = `session:${login.refresh_token.split('.')[2]}`
  const before = (await gateway.store.get(key)) ?? ''
  t.equal((await post(gateway, '/auth/logout', {}, login.access_token)).status, 204)
  await gateway.store.set(key, before, 3_600_000)
  t.equal((await refresh(gateway, login.refresh_token)).code, 'refresh_invalid')
})

test('logout-all wipes the session_key', async (t) => {
  const gateway = await build(t)
  const login = await gateway.login('alice')
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const body = JSON.stringify({ appid: APPID, openid: openId, body: 'x' })
  const sign = () => gateway.service('/v1/sign', { method: 'POST', body, token: 'canary-service-token-0123456789' })
  t.equal((await sign()).status, 200)
  await post(gateway, '/auth/logout', { all: true }, login.access_token)
  t.equal((await sign()).status, 409)
})

test('a repeat of a login code or refresh token with another attempt is not answered', async (t) => {
  const gateway = await build(t)
  const code = { code: 'sandbox-alice', appid: APPID, attempt: ATTEMPT }
  const first = await post(gateway, '/auth/login', code)
  t.equal(first.status, 200)
  t.equal((await post(gateway, '/auth/login', code)).text, first.text)
  t.match(await post(gateway, '/auth/login', { ...code, attempt: OTHER }), { status: 401, code: 'code_used' })
  t.match(await post(gateway, '/auth/login', { code: code.code, appid: APPID }), { status: 401, code: 'code_used' })
  const next = await refresh(gateway, first.refresh_token, ATTEMPT)
  t.equal((await refresh(gateway, first.refresh_token, ATTEMPT)).text, next.text)
  t.equal((await refresh(gateway, first.refresh_token, OTHER)).code, 'refresh_reused')
  t.equal((await refresh(gateway, next.refresh_token, ATTEMPT)).code, 'refresh_invalid')
  t.ok(gateway.lines.some((line) => line.includes('login_code_reused')))
})

test('with repeatWindow 0s no repeat is answered', async (t) => {
  const gateway = await build(t, { tokens: { repeatWindow: '0s' } })
  const body = { code: 'sandbox-alice-1', appid: APPID }
  const first = await post(gateway, '/auth/login', body)
  t.equal((await post(gateway, '/auth/login', body)).code, 'code_used')
  t.equal((await refresh(gateway, first.refresh_token)).status, 200)
  t.equal((await refresh(gateway, first.refresh_token)).code, 'refresh_reused')
})

test('refreshes of one session are limited, those of others are not', async (t) => {
  const gateway = await build(t)
  const [alice, bob] = [await gateway.login('alice'), await gateway.login('bob')]
  const answers = await Promise.all(Array.from({ length: 60 }, () => refresh(gateway, alice.refresh_token)))
  t.ok(answers.filter((answer) => answer.status === 200).length <= 30)
  t.match(answers.at(-1), { status: 429, code: 'rate_limited' })
  t.equal((await refresh(gateway, bob.refresh_token)).status, 200)
})

test('the refresh token of an app that was removed is refresh_invalid', async (t) => {
  const app = (appid: string) => ({ appid, secret: APP_SECRET })
  const store = createMemoryStore({ clock: createTestClock(), log: quietLog() })
  const both = await buildTestGateway(t, UPSTREAM, { store, config: { apps: [app(APPID), app(OTHER_APPID)] } })
  const login = await both.login('alice', OTHER_APPID)
  const one = await buildTestGateway(t, UPSTREAM, { store })
  t.match(await refresh(one, login.refresh_token), { status: 401, code: 'refresh_invalid' })
})

test('a clock that moves three hours forward and back loses no revocation', async (t) => {
  const real = createTestClock()
  let step = 0
  const clock = { ...real, now: () => real.now() + step }
  const store = createMemoryStore({ clock: real, log: quietLog() })
  const revocations = createRevocations({ store, clock, log: quietLog(), accessTtl: 7_200_000, grace: 1_000 })
  t.teardown(() => revocations.stop())
  await revocations.endSession('before')
  step = 3 * 3_600_000
  await revocations.start()
  await revocations.endSession('meanwhile')
  step = 0
  for (const id of ['before', 'meanwhile']) {
    t.equal(revocations.hasEnded({ id, appId: APPID, openId: 'o', epoch: 0 }), true, id)
  }
})

test('the spelling of the scheme does not change a credential', async (t) => {
  const gateway = await build(t)
  const { access_token: token } = await gateway.login('alice')
  const { accessTokens } = gateway.gateway.parts
  accessTokens.verify(`Bearer ${token}`)
  for (const scheme of ['bearer', 'BEARER', 'bEaReR']) t.ok(accessTokens.recall(`${scheme} ${token}`))
})

test('a refresh takes over a unionid that came after the session began', async (t) => {
  const gateway = await build(t)
  const first = await post(gateway, '/auth/login', { code: 'sandbox-no-unionid-alice' })
  await post(gateway, '/auth/login', { code: 'sandbox-alice-2' })
  const next = await refresh(gateway, first.refresh_token)
  const principal = gateway.gateway.parts.accessTokens.verify(`Bearer ${next.access_token}`)
  const { unionId } = gateway.sandbox.state.people.person(APPID, 'alice')
  t.ok(unionId)
  t.match(principal, { unionId })
})
