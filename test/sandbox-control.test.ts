import { createDecipheriv } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'tap'
import { decryptOpenData, verifyRawData } from '../src/platforms/wechat/open-data-cipher.ts'
import { FAULT_WORDS } from '../src/sandbox/faults.ts'
import { APP, buildSandbox } from './support/sandbox.ts'

test('open data is encrypted with the key of the user, as WeChat would', async (t) => {
  const { login, post, clock } = await buildSandbox(t)
  t.match(await post('/sandbox/open-data', { appid: APP, user: 'alice' }), { status: 409 }, 'no user has logged in yet')
  const { json: session } = await login('sandbox-alice')
  const sessionKey = String(session.session_key)
  const decrypt = (json: Record<string, unknown>, key = sessionKey) =>
    decryptOpenData({
      sessionKey: key,
      encryptedData: String(json.encryptedData),
      iv: String(json.iv),
      appId: APP,
      openId: String(session.openid),
      now: clock.now()
    })
  const { json: profile } = await post('/sandbox/open-data', { appid: APP, user: 'alice' })
  t.match(decrypt(profile), { openId: session.openid, unionId: session.unionid, nickName: 'alice' })
  const signed = { sessionKey, rawData: String(profile.rawData), signature: String(profile.signature) }
  t.equal(verifyRawData(signed), true)
  const { json: own } = await post('/sandbox/open-data', { appid: APP, openid: session.openid, data: { steps: [1] } })
  t.match(decrypt(own), { steps: [1], watermark: { appid: APP } })
  const { json: phone } = await post('/sandbox/open-data', { appid: APP, user: 'alice', kind: 'phone' })
  t.match(decrypt(phone), { purePhoneNumber: /^138/, countryCode: '86' })
  const foreign = { watermark: { appid: 'wxother', timestamp: 1 } }
  const { json: other } = await post('/sandbox/open-data', { appid: APP, user: 'alice', data: foreign })
  t.equal(decrypt(other), null, 'a given watermark is kept')
  const { json: again } = await login('sandbox-alice')
  const { json: late } = await post('/sandbox/open-data', { appid: APP, user: 'alice', key: 'previous' })
  t.ok(decrypt(late), 'encrypted before the last login')
  t.equal(decrypt(late, String(again.session_key)), null)
})

test('a fault affects the calls it was planned for, and later ones succeed', async (t) => {
  const { login, post, send, get } = await buildSandbox(t)
  const path = '/sns/jscode2session'
  t.match(await post('/sandbox/faults', { path, fault: 'errcode-45011', times: 2, skip: 1 }), { status: 201 })
  const seen = []
  for (let i = 0; i < 4; i += 1) seen.push((await login('sandbox-alice')).json.errcode)
  t.same(seen, [undefined, 45011, 45011, undefined])
  await post('/sandbox/faults', { path: '*', fault: 'html', times: 'always', appid: 'wxother' })
  t.match((await get('/sandbox/faults')).json, { faults: [{ times: 'always' }] })
  t.match(await login('sandbox-alice'), { json: { openid: String } })
  t.match(await login('sandbox-alice', { appid: 'wxother' }), { status: 200, type: 'text/html' })
  await send('DELETE', '/sandbox/faults')
  t.match(await login('sandbox-alice', { appid: 'wxother' }), { json: { openid: String } })
})

test('a fault spends no code unless it is planned for after the call', async (t) => {
  const { login, post } = await buildSandbox(t)
  await post('/sandbox/faults', { fault: 'reset' })
  await t.rejects(login('sandbox-alice-1'))
  t.match(await login('sandbox-alice-1'), { json: { openid: String } })
  await post('/sandbox/faults', { fault: 'empty', after: true })
  t.match(await login('sandbox-alice-2'), { status: 200, text: '' })
  t.match((await login('sandbox-alice-2')).json, { errcode: 40163 })
})

test('calls are counted and shown with their credentials masked', async (t) => {
  const { login, get, send, token } = await buildSandbox(t)
  const { json } = await login('sandbox-alice', { secret: 'canary-secret' })
  const access_token = await token()
  await get('/wxa/checksession', { access_token, openid: String(json.openid), signature: 'canary-signature' })
  const log = await get('/sandbox/calls')
  t.match(log.json, {
    total: 3,
    byPath: { '/sns/jscode2session': 1, '/cgi-bin/stable_token': 1, '/wxa/checksession': 1 }
  })
  t.match(log.json.calls, [{ params: { js_code: 'sandbox-alice', secret: '***' }, errcode: 0, fault: null }])
  for (const secret of ['canary', access_token, String(json.session_key)]) t.notOk(log.text.includes(secret))
  t.equal(((await get('/sandbox/calls', { path: '/wxa/checksession' })).json.calls as unknown[]).length, 1)
  await send('DELETE', '/sandbox/calls')
  t.match((await get('/sandbox/calls')).json, { total: 0, calls: [] })
})

test('keys and tokens can be ended, time moved and everything reset', async (t) => {
  const { login, post, get, token } = await buildSandbox(t)
  await login('sandbox-alice')
  t.match(await post('/sandbox/session-keys', { appid: APP, user: 'alice', action: 'expire' }), { status: 200 })
  t.match(await post('/sandbox/open-data', { appid: APP, user: 'alice' }), { status: 409 })
  t.match(await post('/sandbox/session-keys', { appid: APP, user: 'alice', action: 'rotate' }), { status: 200 })
  t.match(await post('/sandbox/open-data', { appid: APP, user: 'alice' }), { status: 200 })
  const call = async (access_token: string) => (await get('/wxa/some_call', { access_token })).json.errcode
  const first = await token()
  await post('/sandbox/access-tokens', { appid: APP, action: 'expire' })
  t.equal(await call(first), 42001)
  const second = await token()
  await post('/sandbox/access-tokens', { appid: APP, action: 'kill' })
  t.equal(await call(second), 40001)
  const third = await token()
  await post('/sandbox/clock', { advance: 7200_000 })
  t.equal(await call(third), 42001)
  await login('sandbox-alice-1')
  t.match(await post('/sandbox/reset'), { status: 200 })
  t.match((await login('sandbox-alice-1')).json, { openid: String })
})

test('a unionid can change and vanish for a known openid', async (t) => {
  const { post, login } = await buildSandbox(t)
  const { json: before } = await login('sandbox-alice')
  await post('/sandbox/users', { appid: APP, user: 'alice', unionid: '' })
  const { json: without } = await login('sandbox-alice')
  await post('/sandbox/users', { appid: APP, openid: String(before.openid), unionid: 'uOther' })
  const { json: other } = await login('sandbox-alice')
  t.same([without.openid, other.openid], [before.openid, before.openid])
  t.same([without.unionid, other.unionid], [undefined, 'uOther'])
  t.equal((await post('/sandbox/users', { appid: APP, user: 'alice' })).status, 400)
})

test('any bytes can be encrypted as open data', async (t) => {
  const { post, login } = await buildSandbox(t)
  const { json } = await login('sandbox-alice')
  const plaintext = Buffer.from('{"nickName":"a\x01\xff"}', 'latin1')
  const sealed = await post('/sandbox/open-data', {
    appid: APP,
    user: 'alice',
    plaintext: plaintext.toString('base64')
  })
  const key = Buffer.from(String(json.session_key), 'base64')
  const decipher = createDecipheriv('aes-128-cbc', key, Buffer.from(String(sealed.json.iv), 'base64'))
  const bytes = decipher.update(Buffer.from(String(sealed.json.encryptedData), 'base64'))
  t.same(Buffer.concat([bytes, decipher.final()]), plaintext)
})

test('a wrong control call is refused with its reason', async (t) => {
  const { post, get, send } = await buildSandbox(t)
  const bad: readonly (readonly [string, unknown])[] = [
    ['/sandbox/codes', {}],
    ['/sandbox/codes', { user: 'not a name' }],
    ['/sandbox/codes', { user: 'alice', count: 1e9 }],
    ['/sandbox/codes', { user: 'alice', ttl: -1 }],
    ['/sandbox/codes', 'no json'],
    ['/sandbox/codes', [1]],
    ['/sandbox/phone-codes', { openid: 'o-nobody', appid: APP }],
    ['/sandbox/open-data', { user: 'alice' }],
    ['/sandbox/session-keys', { appid: APP, user: 'alice', action: 'x' }],
    ['/sandbox/access-tokens', { appid: APP }],
    ['/sandbox/clock', { advance: 'soon' }],
    ['/sandbox/faults', { fault: 'nonsense' }],
    ['/sandbox/faults', { fault: 'hang', times: 0 }],
    ['/sandbox/faults', { fault: 'hang', path: 'sns' }]
  ]
  for (const [path, body] of bad) t.match(await post(path, body), { status: 400, json: { error: String } }, path)
  t.match(await get('/sandbox/nothing'), { status: 404 })
  t.match(await send('DELETE', '/sandbox/codes'), { status: 404 })
  t.match(await get('/livez'), { status: 200, json: { status: 'ok' } })
})

test('many codes can be minted at once', async (t) => {
  const { post } = await buildSandbox(t)
  const { json } = await post('/sandbox/codes', { user: 'alice', count: 500 })
  t.equal(new Set(json.codes as string[]).size, 500)
})

test('docs/sandbox.md names every fault', async (t) => {
  const docs = readFileSync(new URL('../docs/sandbox.md', import.meta.url), 'utf8')
  for (const word of FAULT_WORDS) t.ok(docs.includes(`\`${word}\``), word)
})

test('no input ends the sandbox', async (t) => {
  const { url, login, post, get, token } = await buildSandbox(t)
  const { port } = new URL(url)
  const raw = [
    'garbage\r\n\r\n',
    'GET // HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET /%zz?%zz=%zz HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET http://[:::/ HTTP/1.1\r\nhost: x\r\n\r\n',
    'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET /sns/jscode2session HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    'POST /sandbox/codes HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"user"',
    `GET /${'x'.repeat(40_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    'POST /x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'
  ]
  await Promise.all(raw.map((bytes) => throwAt(Number(port), bytes)))
  const access_token = await token()
  for (const path of ['/sandbox/codes', '/sandbox/faults', '/sandbox/open-data', '/wxa/msg_sec_check', '/__proto__']) {
    for (const body of [
      'null',
      '[]',
      '{"__proto__":{"user":1}}',
      `${'['.repeat(50_000)}`,
      `"${'x'.repeat(2_000_000)}"`
    ]) {
      await post(path, body, { access_token })
    }
  }
  for (const path of ['/constructor', '/__proto__', '/toString']) await get(path, { access_token })
  for (const code of ['sandbox-', 'sandbox--', `sandbox-${'a'.repeat(5000)}`, 'sandbox-slow--1', 'sandbox-__proto__']) {
    await login(code)
  }
  t.match((await login('sandbox-alice')).json, { openid: String })
})

/** Sends bytes and disconnects shortly after. */
function throwAt(port: number, bytes: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes)
      setTimeout(() => socket.destroy(), 50)
    })
    socket.on('error', () => {})
    socket.on('data', () => {})
    socket.on('close', () => resolve())
  })
}
