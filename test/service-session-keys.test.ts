import { test } from 'tap'
import { createTestClock } from './support/clock.ts'
import { APPID, OTHER_APPID, SERVICE_TOKEN } from './support/gateway.ts'
import { APP_KEY, build, call, hmac, keyOf, openIdOf, SANDBOX_APP_KEY } from './support/service.ts'
import { until } from './support/until.ts'
import { sandboxOpenData, sandboxSessionKey } from './support/wechat-data.ts'

test('open data is decrypted completely, for its own user and mini-program', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  await gateway.login('bob', APPID)
  await gateway.login('alice', OTHER_APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const openid = openIdOf(gateway, 'alice')
  const good = { appid: APPID, openid, encryptedData, iv }
  t.match(await call(gateway, '/v1/open-data', good), {
    status: 200,
    body: { data: { openId: openid, unionId: /^u/, nickName: 'alice', watermark: { appid: APPID } } }
  })
  const other = await sandboxOpenData(gateway, 'alice', { appid: OTHER_APPID })
  const watermark = { appid: OTHER_APPID, timestamp: Math.floor(Date.now() / 1000) }
  const foreign = await sandboxOpenData(gateway, 'alice', { data: { watermark } })
  const stale = [
    { ...good, openid: openIdOf(gateway, 'bob') },
    { ...good, openid: 'oNobodyAtAll' },
    { ...good, appid: OTHER_APPID, openid: openIdOf(gateway, 'alice', OTHER_APPID) },
    { ...good, encryptedData: other.encryptedData, iv: other.iv },
    { ...good, encryptedData: foreign.encryptedData, iv: foreign.iv },
    { ...good, encryptedData: '?', iv: '?' }
  ]
  const answers = new Set<string>()
  for (const body of stale) {
    const answer = await call(gateway, '/v1/open-data', body)
    answers.add(JSON.stringify({ ...answer, body: { ...answer.body, request_id: '' } }))
  }
  t.equal(answers.size, 1)
  t.match(JSON.parse([...answers][0] ?? ''), { status: 409, body: { code: 'session_key_stale', action: 'login' } })
})

test('exactly the bytes of the text are signed', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice') }
  const key = keyOf(gateway, 'alice')
  for (const body of [
    '',
    '{"foo":"bar"}',
    '{ "foo" : "bar" }',
    '{"名":"茶 🍵"}',
    'line\r\nline\n',
    '\u0000',
    'x'.repeat(50_000)
  ]) {
    t.same((await call(gateway, '/v1/sign', { ...user, body })).body, { signature: hmac(key, body) })
  }
})

test('pay_sig is made with the app key of the environment', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice') }
  const key = keyOf(gateway, 'alice')
  const body = '{"openid": "xxx", "user_ip": "127.0.0.1", "env": 0}'
  const uri = '/xpay/query_user_balance'
  const signature = hmac(key, body)
  const sign = async (fields: object) => (await call(gateway, '/v1/sign', { ...user, body, ...fields })).body
  t.same(await sign({ uri }), { signature, pay_sig: hmac(APP_KEY, `${uri}&${body}`) })
  t.same(await sign({ uri, env: 0 }), { signature, pay_sig: hmac(APP_KEY, `${uri}&${body}`) })
  t.same(await sign({ uri, env: 1 }), { signature, pay_sig: hmac(SANDBOX_APP_KEY, `${uri}&${body}`) })
  t.same(await sign({ uri: 'requestVirtualPayment' }), {
    signature,
    pay_sig: hmac(APP_KEY, `requestVirtualPayment&${body}`)
  })
  for (const fields of [{ env: 1 }, { uri, env: 2 }, { uri, env: '0' }, { uri: `${uri}?a=b` }, { uri: '' }]) {
    t.match(await sign(fields), { status: 400, code: 'invalid_request' }, JSON.stringify(fields))
  }
  await gateway.login('alice', OTHER_APPID)
  const other = { appid: OTHER_APPID, openid: openIdOf(gateway, 'alice', OTHER_APPID), body }
  t.match(await call(gateway, '/v1/sign', { ...other, uri }), { status: 400, body: { detail: /virtualPay\.appKey/ } })
  t.same((await call(gateway, '/v1/sign', other)).body, { signature: hmac(keyOf(gateway, 'alice', OTHER_APPID), body) })
})

test('text without UTF-8 bytes is not signed', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const raw = `{"appid":"${APPID}","openid":"${openIdOf(gateway, 'alice')}","body":"half \\ud83d"}`
  const response = await gateway.service('/v1/sign', { method: 'POST', token: SERVICE_TOKEN, body: raw })
  t.match(await response.json(), { status: 400, code: 'invalid_request' })
})

test('without a usable session_key there is no signature', async (t) => {
  const clock = createTestClock()
  const gateway = await build(t, { clock, config: { sessions: { sessionKeyTtl: '1h' } } })
  await gateway.login('alice', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice'), body: 'x' }
  t.match(await call(gateway, '/v1/sign', { ...user, openid: 'oNobodyAtAll' }), { status: 409 })
  t.equal((await call(gateway, '/v1/sign', user)).status, 200)
  clock.advance(3_600_001)
  t.match(await call(gateway, '/v1/sign', user), { status: 409, body: { code: 'session_key_stale' } })
})

test("check-session reports WeChat's verdict on the stored key", async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice') }
  t.same(await call(gateway, '/v1/check-session', user), { status: 200, body: { valid: true } })
  await sandboxSessionKey(gateway, 'alice', 'rotate')
  t.same(await call(gateway, '/v1/check-session', user), { status: 200, body: { valid: false } })
  t.same((await call(gateway, '/v1/check-session', { ...user, openid: 'oNobodyAtAll' })).body, { valid: false })
  gateway.sandbox.state.faults.add({
    path: '/wxa/checksession',
    fault: { kind: 'html' },
    appId: null,
    times: 1,
    skip: 0,
    after: false
  })
  t.match(await call(gateway, '/v1/check-session', user), { status: 503, body: { code: 'wechat_unavailable' } })
})

test('a reset stores the new key, and the old one no longer decrypts', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const openid = openIdOf(gateway, 'alice')
  const user = { appid: APPID, openid }
  const before = await sandboxOpenData(gateway, 'alice')
  const oldKey = keyOf(gateway, 'alice')
  t.same(await call(gateway, '/v1/reset-session', user), { status: 200, body: { valid: true } })
  const newKey = keyOf(gateway, 'alice')
  t.not(newKey, oldKey)
  t.same((await call(gateway, '/v1/sign', { ...user, body: 'x' })).body, { signature: hmac(newKey, 'x') })
  const openData = (sealed: { encryptedData: string; iv: string }) =>
    call(gateway, '/v1/open-data', { ...user, encryptedData: sealed.encryptedData, iv: sealed.iv })
  t.equal((await openData(await sandboxOpenData(gateway, 'alice'))).status, 200)
  t.equal((await openData(before)).status, 409)
})

test('a reset with a key that WeChat no longer accepts, or with none, is 409 and changes nothing', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const openid = openIdOf(gateway, 'alice')
  const stored = () => gateway.store.get(`key:wechat:${APPID}:${openid}`)
  const before = await stored()
  for (const action of ['rotate', 'expire'] as const) {
    await sandboxSessionKey(gateway, 'alice', action)
    t.match(await call(gateway, '/v1/reset-session', { appid: APPID, openid }), {
      status: 409,
      body: { code: 'session_key_stale', action: 'login' }
    })
  }
  t.equal(await stored(), before)
  t.match(await call(gateway, '/v1/reset-session', { appid: APPID, openid: 'oNobodyAtAll' }), { status: 409 })
})

test('a login that comes between a reset and its storing keeps its own key', async (t) => {
  const gateway = await build(t)
  await gateway.login('sandbox-alice-1', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice') }
  const slow = { kind: 'slow', ms: 1_500 } as const
  gateway.sandbox.state.faults.add({
    path: '/wxa/resetusersessionkey',
    fault: slow,
    appId: null,
    times: 1,
    skip: 0,
    after: false
  })
  const reset = call(gateway, '/v1/reset-session', user)
  await until(() => gateway.sandbox.state.calls.list('/wxa/resetusersessionkey').length === 1)
  await gateway.login('sandbox-alice-2', APPID)
  t.same((await reset).body, { valid: true })
  t.same((await call(gateway, '/v1/check-session', user)).body, { valid: true })
})
