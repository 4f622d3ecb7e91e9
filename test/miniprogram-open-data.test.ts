/** Open data and phone numbers of the mini-program client. */
import { type Test, test } from 'tap'
import { APPID } from './support/gateway.ts'
import { HOUR, type Phone, problem, rejection, startPhone } from './support/phone.ts'

/** Data as wx returns it to the mini-program. */
async function encrypt(phone: Phone, more: object = {}) {
  const response = await fetch(`${phone.gateway.sandboxUrl}/sandbox/open-data`, {
    method: 'POST',
    body: JSON.stringify({ appid: APPID, user: 'alice', data: { nickName: '爱丽丝' }, ...more })
  })
  return (await response.json()) as { encryptedData: string; iv: string; rawData: string; signature: string }
}

async function start(t: Test): Promise<Phone> {
  const phone = await startPhone(t)
  await phone.client.login()
  return phone
}

test('open data is decrypted and signatures are checked after wx.checkSession', async (t) => {
  const phone = await start(t)
  const { encryptedData, iv, rawData, signature } = await encrypt(phone)
  const { data } = await phone.client.openData({ encryptedData, iv })
  t.match(data, { nickName: '爱丽丝' })
  t.notOk(data && 'openId' in data)
  t.equal((await phone.client.openData({ rawData, signature })).valid, true)
  t.equal((await phone.client.openData({ rawData: `${rawData} `, signature })).valid, false)
  t.equal(phone.wx.calls.checkSession, 3)
  t.equal(phone.wx.calls.login, 1)
})

test('when wx reports that the session_key has ended, a login comes first and the data is still read', async (t) => {
  const phone = await start(t)
  const sealed = await encrypt(phone)
  phone.wx.isSessionKeyValid = false
  t.match((await phone.client.openData(sealed)).data, { nickName: '爱丽丝' }, 'with the key before the newest')
  t.equal(phone.wx.calls.login, 2)
})

test('data that cannot be decrypted costs one login, is not sent again, and the caller must fetch it again', async (t) => {
  const phone = await start(t)
  const { encryptedData, iv } = await encrypt(phone)
  const wrong = { encryptedData: `${encryptedData.slice(0, -24)}${'A'.repeat(22)}==`, iv }
  t.match(await rejection(phone.client.openData(wrong)), { code: 'session_key_stale', status: 409, action: 'login' })
  t.equal(phone.wx.calls.login, 2)
  t.equal(phone.wire.count('/auth/open-data'), 1)
  t.match((await phone.client.openData(await encrypt(phone))).data, { nickName: '爱丽丝' }, 'fetched again, it works')
  t.equal(phone.wx.calls.login, 2)
  phone.wx.isSessionKeyValid = false
  t.match(await rejection(phone.client.openData(wrong)), { code: 'session_key_stale' })
  t.equal(phone.wx.calls.login, 3, 'one login for one failure, whichever call noticed it first')
})

test('an expired token does not cost the session_key', async (t) => {
  const phone = await start(t)
  const sealed = await encrypt(phone)
  phone.program.clockError = 2 * HOUR
  t.match((await phone.client.openData(sealed)).data, { nickName: '爱丽丝' })
  t.equal(phone.wire.count('/auth/refresh'), 1)
  t.equal(phone.wx.calls.login, 1)
})

test('a phone number is bound by its code, without wx.login or wx.checkSession', async (t) => {
  const phone = await start(t)
  phone.wx.isSessionKeyValid = false
  phone.program.clockError = 3 * HOUR
  const bound = await phone.client.bindPhone({ errMsg: 'getPhoneNumber:ok', code: 'sandbox-phone-alice-a1' })
  t.match(bound, { phone: { masked: /^\d+\*{4}\d+$/, country_code: '86' }, user: { status: 'bound' } })
  t.equal(phone.client.currentUser()?.status, 'bound')
  t.equal(phone.restart().currentUser()?.status, 'bound')
  t.match((await phone.client.session({ check: true })).user, { status: 'bound' })
  t.equal(phone.wx.calls.login, 1)
  t.equal(phone.wx.calls.checkSession, 0)
  t.equal((await phone.client.bindPhone('sandbox-phone-alice-a2')).user.status, 'bound')
})

test('a phone code that WeChat refuses costs no login', async (t) => {
  const phone = await start(t)
  phone.wire.fault = ({ path }) => (path === '/auth/phone' ? problem(400, 'phone_code_invalid', 'none') : null)
  t.match(await rejection(phone.client.bindPhone('spent')), { code: 'phone_code_invalid', status: 400, action: 'none' })
  phone.wire.fault = ({ path }) => (path === '/auth/phone' ? problem(401, 'code_used', 'login') : null)
  t.match(
    await rejection(phone.client.bindPhone('spent')),
    { code: 'code_used' },
    'the answer of version 0.1.0 of the gateway'
  )
  t.equal(phone.wx.calls.login, 1)
  t.equal(phone.wire.count('/auth/phone'), 2)
  t.ok(phone.client.currentUser())
})

test('a phone code that is spent or unknown is an error, and no login follows', async (t) => {
  const phone = await start(t)
  await phone.client.bindPhone('sandbox-phone-alice-b1')
  const refused = await rejection(phone.client.bindPhone('sandbox-phone-alice-b1'))
  t.match(refused, { code: /^(phone_code_invalid|code_used|code_invalid)$/ })
  t.equal(phone.wx.calls.login, 1)
  t.ok(phone.client.currentUser())
  t.equal(phone.wire.count('/auth/phone'), 2)
})

test('a refused phone number sends no request', async (t) => {
  const phone = await start(t)
  const detail = { errMsg: 'getPhoneNumber:fail user deny', errno: 103 }
  t.match(await rejection(phone.client.bindPhone(detail)), { code: 'phone_refused', ...detail })
  t.match(await rejection(phone.client.bindPhone({ errMsg: 'getPhoneNumber:fail', errno: 1400001 })), {
    errno: 1400001
  })
  t.equal(phone.wire.count('/auth/phone'), 0)
})

test('the phone number of an old base library is decrypted after wx.checkSession', async (t) => {
  const phone = await start(t)
  const { encryptedData, iv } = await encrypt(phone, { data: undefined, kind: 'phone' })
  const bound = await phone.client.bindPhone({ encryptedData, iv })
  t.equal(bound.user.status, 'bound')
  t.equal(phone.wx.calls.checkSession, 1)
  t.equal(phone.wx.calls.login, 1)
})

test('a lost answer to a phone code is not requested again', async (t) => {
  const phone = await start(t)
  phone.wire.fault = ({ path }) => (path === '/auth/phone' ? 'lose-answer' : null)
  t.match(await rejection(phone.client.bindPhone('sandbox-phone-alice-c1')), { code: 'network' })
  t.equal(phone.wire.count('/auth/phone'), 1)
})

test('a request to a route that opens data checks the session_key first', async (t) => {
  const phone = await start(t)
  phone.wx.isSessionKeyValid = false
  await phone.client.request({ url: '/api/a', method: 'POST', data: {}, openData: true })
  t.equal(phone.wx.calls.checkSession, 1)
  t.equal(phone.wx.calls.login, 2)
})
