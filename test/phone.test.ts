import { test } from 'tap'
import { maskPhone } from '../src/edge/phone.ts'
import { phoneNumberOf } from '../src/sandbox/people.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, type TestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'
import { sandboxOpenData, sandboxPhoneCode } from './support/wechat-data.ts'

const PHONE_CALL = '/wxa/business/getuserphonenumber'

async function bind(gateway: TestGateway, token: string, body: unknown) {
  const response = await gateway.call('/auth/phone', { method: 'POST', token, body: JSON.stringify(body) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function statusIn(gateway: TestGateway, token: string): Promise<string | undefined> {
  const { user } = (await (await gateway.call('/auth/session', { token })).json()) as { user?: { status: string } }
  return user?.status
}

function stored(gateway: TestGateway, name: string, appId = APPID) {
  const { openId } = gateway.sandbox.state.people.person(appId, name)
  return gateway.gateway.parts.users.find(appId, openId)
}

test('a phone code binds the user, and issued tokens show it at once', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token, user } = await gateway.login('alice')
  await gateway.call('/api/x', { token })
  const { status, body } = await bind(gateway, token, { code: await sandboxPhoneCode(gateway, 'alice') })
  const number = phoneNumberOf('alice')
  t.equal(status, 200)
  t.same(body, {
    phone: { masked: `138****${number.slice(-4)}`, country_code: '86' },
    user: { id: user.id, status: 'bound' }
  })
  await gateway.call('/api/x', { token })
  t.same(
    upstream.seen.map((seen) => seen.headers['x-user-status']),
    ['anonymous', 'bound']
  )
  t.equal(await statusIn(gateway, token), 'bound')
  t.match(await stored(gateway, 'alice'), { status: 'bound', phone: { phoneNumber: number, countryCode: '86' } })
  t.match(await gateway.login('sandbox-alice-again'), { user: { id: user.id, status: 'bound', is_new: false } })
})

test('the openid of the session is always sent, and a code of another user binds nothing', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  await gateway.login('mallory')
  const code = await sandboxPhoneCode(gateway, 'mallory')
  const openid = gateway.sandbox.state.people.person(APPID, 'alice').openId
  t.match(await bind(gateway, token, { code, openid: 'oMallory' }), {
    status: 400,
    body: { code: 'phone_code_invalid' }
  })
  t.match(gateway.sandbox.state.calls.list(PHONE_CALL), [{ params: { openid, code } }])
  t.match(await stored(gateway, 'alice'), { status: 'anonymous', phone: null })
})

test('a phone code works once; a second use is phone_code_invalid and changes nothing', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const { access_token: other } = await gateway.login('bob')
  const code = await sandboxPhoneCode(gateway, 'alice')
  t.equal((await bind(gateway, token, { code })).status, 200)
  const before = await stored(gateway, 'alice')
  t.match(await bind(gateway, token, { code }), { status: 400, body: { code: 'phone_code_invalid', action: 'none' } })
  t.match(await bind(gateway, other, { code }), { status: 400, body: { code: 'phone_code_invalid' } })
  t.same(await stored(gateway, 'alice'), before)
  t.match(await stored(gateway, 'bob'), { status: 'anonymous', phone: null })
  t.equal(await statusIn(gateway, other), 'anonymous')
})

test('of one code used twice at the same time, one use counts', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const code = await sandboxPhoneCode(gateway, 'alice')
  const answers = await Promise.all([bind(gateway, token, { code }), bind(gateway, token, { code })])
  t.same(answers.map((answer) => answer.status).sort(), [200, 400])
})

test('the country code may be a number, and a foreign number is stored without it', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const abroad = { phoneNumber: '+85251234567', purePhoneNumber: '51234567', countryCode: 852 }
  const { body } = await bind(gateway, token, { code: await sandboxPhoneCode(gateway, 'alice', abroad) })
  t.match(body, { phone: { masked: '51****67', country_code: '852' } })
  t.match(await stored(gateway, 'alice'), { phone: { phoneNumber: '51234567', countryCode: '852' } })
})

test('a mask is recognisable and never shows the number', async (t) => {
  const cases = {
    '13800000000': '138****0000',
    '013800000000': '013****0000',
    '2025550123': '20****23',
    '51234567': '51****67',
    '5123456': '51****56',
    '123456': '****6',
    '1234': '****4',
    '+1 (202) 555-0123': '120****0123',
    '': '****'
  }
  for (const [phoneNumber, masked] of Object.entries(cases)) {
    t.equal(maskPhone({ phoneNumber, countryCode: '86' }), masked)
  }
})

test('older clients send the number encrypted', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice', { kind: 'phone' })
  t.match(await bind(gateway, token, { encryptedData, iv }), { status: 200, body: { user: { status: 'bound' } } })
  t.match(await stored(gateway, 'alice'), { phone: { phoneNumber: phoneNumberOf('alice') } })
  t.equal(gateway.sandbox.state.calls.counts().byPath[PHONE_CALL], undefined, 'WeChat is not called')
})

test('encrypted data other than a phone number of this user binds nothing', async (t) => {
  const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { config: { apps } })
  const { access_token: token } = await gateway.login('alice', APPID)
  await gateway.login('bob', APPID)
  await gateway.login('alice', OTHER_APPID)
  const good = await sandboxOpenData(gateway, 'alice', { kind: 'phone' })
  const cases = {
    'a profile': await sandboxOpenData(gateway, 'alice'),
    'the number of another user': await sandboxOpenData(gateway, 'bob', { kind: 'phone' }),
    'the number for another mini-program': await sandboxOpenData(gateway, 'alice', {
      kind: 'phone',
      appid: OTHER_APPID
    }),
    'an invalid number': await sandboxOpenData(gateway, 'alice', {
      data: { phoneNumber: 'x', purePhoneNumber: 'x' }
    }),
    'a broken iv': { ...good, iv: 'x' }
  }
  const answers = new Set<string>()
  for (const [what, { encryptedData, iv }] of Object.entries(cases)) {
    const answer = await bind(gateway, token, { encryptedData, iv })
    t.equal(answer.status, 409, what)
    answers.add(JSON.stringify({ ...answer.body, request_id: '' }))
  }
  t.equal(answers.size, 1)
  t.match(await stored(gateway, 'alice'), { status: 'anonymous', phone: null })
})

test('an invalid body does not reach WeChat', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  for (const body of [{}, { code: '' }, { code: 1 }, { code: 'a b' }, { code: 'x'.repeat(600) }, { iv: 'x' }, []]) {
    t.match(await bind(gateway, token, body), { status: 400, body: { code: 'invalid_request' } })
  }
  t.match(await bind(gateway, token, { code: 'x'.repeat(10_000_000) }), {
    status: 413,
    body: { code: 'body_too_large' }
  })
  t.match(await bind(gateway, '', { code: 'x' }), { status: 401 })
  t.equal(gateway.sandbox.state.calls.counts().byPath[PHONE_CALL], undefined)
})

test("WeChat's failures with a phone code are reported as such, and store nothing", async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, {
    config: { wechat: { apiBase: 'sandbox', timeout: '1s' } }
  })
  const { access_token: token } = await gateway.login('alice')
  const cases = {
    'sandbox-phone-errcode-45011-alice': [429, 'rate_limited'],
    'sandbox-phone-errcode--1-alice': [503, 'wechat_unavailable'],
    'sandbox-phone-html-alice': [503, 'wechat_unavailable'],
    'sandbox-phone-hang-alice': [503, 'wechat_unavailable'],
    'sandbox-phone-errcode-48001-alice': [502, 'wechat_misconfigured']
  } as const
  for (const [code, [status, expected]] of Object.entries(cases)) {
    t.match(await bind(gateway, token, { code }), { status, body: { code: expected } }, code)
  }
  t.match(await stored(gateway, 'alice'), { status: 'anonymous', phone: null })
})

test("one user cannot use up the mini-program's calls to WeChat", async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, {
    config: { server: { host: '127.0.0.1', port: 1, loginLimit: { max: 3, window: '1m', by: 'ip' } } }
  })
  const alice = await gateway.login('alice')
  const bob = await gateway.login('bob')
  const codes = ['sandbox-phone-x-1', 'sandbox-phone-x-2', 'sandbox-phone-x-3']
  for (const code of codes) t.equal((await bind(gateway, alice.access_token, { code })).status, 400)
  t.match(await bind(gateway, alice.access_token, { code: 'sandbox-phone-alice' }), { status: 429 })
  t.match(await bind(gateway, bob.access_token, { code: 'sandbox-phone-bob' }), { status: 200 })
})

test('the number is in no log line, no metric and in the store only sealed', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const number = phoneNumberOf('alice')
  await bind(gateway, token, { code: await sandboxPhoneCode(gateway, 'alice') })
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const record = await gateway.store.get(`user:wechat:${APPID}:${openId}`)
  const metrics = await (await gateway.service('/metrics')).text()
  t.match(record, /"phone":"/)
  for (const text of [record, gateway.lines.join(''), metrics]) t.notOk(text?.includes(number.slice(3)))
})
