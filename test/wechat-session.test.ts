import { test } from 'tap'
import { buildWeChat, SHOP } from './support/wechat.ts'

const PHONE = '/wxa/business/getuserphonenumber'

test('checkSession reports whether WeChat still accepts exactly this key', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true)
  const newer = await wechat.login(SHOP, 'sandbox-alice')
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), false, 'replaced by another login')
  t.equal(await wechat.checkSession(SHOP, openId, newer.sessionKey), true)
  sandbox.state.people.expireSessionKey(SHOP.appId, openId)
  t.equal(await wechat.checkSession(SHOP, openId, newer.sessionKey), false)
})

test('the login-state signature goes in the query, never the key', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  await wechat.checkSession(SHOP, openId, sessionKey)
  const [call] = sandbox.state.calls.list('/wxa/checksession')
  t.match(call, { method: 'GET', params: { openid: openId, sig_method: 'hmac_sha256', signature: '***' } })
  t.same(Object.keys(call?.params ?? {}).sort(), ['access_token', 'openid', 'sig_method', 'signature'])
})

test('resetSession returns the new key, and a key that WeChat no longer accepts is session_key_stale', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  const newKey = await wechat.resetSession(SHOP, openId, sessionKey)
  t.not(newKey, sessionKey)
  t.equal(await wechat.checkSession(SHOP, openId, newKey), true)
  await t.rejects(wechat.resetSession(SHOP, openId, sessionKey), { code: 'session_key_stale', status: 409 }, '87009')
  sandbox.state.people.expireSessionKey(SHOP.appId, openId)
  await t.rejects(wechat.resetSession(SHOP, openId, newKey), { code: 'session_key_stale', status: 409 }, '87007')
})

test('a phone code returns the number once, and only for the user it was issued to', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t)
  const alice = await wechat.login(SHOP, 'sandbox-alice')
  const mallory = await wechat.login(SHOP, 'sandbox-mallory')
  const code = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: SHOP.appId })
  await t.rejects(wechat.phoneNumber(SHOP, mallory.openId, code), { code: 'phone_code_invalid' })
  const phone = await wechat.phoneNumber(SHOP, alice.openId, code)
  t.match(phone, { phoneNumber: /^138\d{8}$/, purePhoneNumber: phone.phoneNumber, countryCode: '86' })
  await t.rejects(wechat.phoneNumber(SHOP, alice.openId, code), { code: 'phone_code_invalid' }, 'replayed')
  t.match(sandbox.state.calls.list(PHONE)[1]?.params, { openid: alice.openId, code })
  t.equal(callsOf(PHONE), 3)
})

test('codes of wx.login, of getPhoneNumber and of another mini-program are not interchangeable', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId } = await wechat.login(SHOP, 'sandbox-alice')
  const login = sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: null })
  const phone = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: null })
  const elsewhere = sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: 'wxother' })
  await t.rejects(wechat.phoneNumber(SHOP, openId, login), { code: 'phone_code_invalid' })
  await t.rejects(wechat.login(SHOP, phone), { code: 'code_invalid' })
  await t.rejects(wechat.phoneNumber(SHOP, openId, elsewhere), { code: 'phone_code_invalid' }, '40013')
})

test('the country code may be a number, and the number may be foreign', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId } = await wechat.login(SHOP, 'sandbox-alice')
  const mint = (phone: Record<string, unknown>) =>
    sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: null, phone })
  t.match(await wechat.phoneNumber(SHOP, openId, mint({ countryCode: 86 })), { countryCode: '86' })
  const abroad = { phoneNumber: '+85251234567', purePhoneNumber: '51234567', countryCode: '852' }
  t.same(await wechat.phoneNumber(SHOP, openId, mint(abroad)), abroad)
  await t.rejects(wechat.phoneNumber(SHOP, openId, mint({ countryCode: null })), { code: 'wechat_unavailable' })
  await t.rejects(wechat.phoneNumber(SHOP, openId, mint({ phoneNumber: '1\r\n2' })), { code: 'wechat_unavailable' })
})

test("WeChat's refusals of a call with a token map to the catalogue", async (t) => {
  const { wechat } = await buildWeChat(t)
  const { openId } = await wechat.login(SHOP, 'sandbox-alice')
  const cases = [
    ['sandbox-errcode-45011', 'rate_limited'],
    ['sandbox-errcode-45009', 'rate_limited'],
    ['sandbox-errcode--1', 'wechat_unavailable'],
    ['sandbox-html', 'wechat_unavailable'],
    ['sandbox-errcode-48001', 'wechat_misconfigured']
  ] as const
  for (const [code, expected] of cases) {
    await t.rejects(wechat.phoneNumber(SHOP, openId, code), { code: expected }, code)
  }
})
