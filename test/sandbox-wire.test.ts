import { createHmac } from 'node:crypto'
import { test } from 'tap'
import { APP, buildSandbox } from './support/sandbox.ts'

const RID = /, rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/
const MINUTE = 60_000
const sign = (key: unknown) => createHmac('sha256', String(key)).update('').digest('hex')

test('a refusal is status 200, text/plain, errcode and an errmsg with a trace id', async (t) => {
  const { login } = await buildSandbox(t)
  t.match(await login('no-such-code'), { status: 200, type: 'text/plain', json: { errcode: 40029, errmsg: RID } })
})

test('a login has no errcode, and is also text/plain', async (t) => {
  const { login } = await buildSandbox(t)
  const { status, type, json } = await login('sandbox-alice')
  t.match({ status, type }, { status: 200, type: 'text/plain' })
  t.same(Object.keys(json).sort(), ['openid', 'session_key', 'unionid'])
})

test('a name is the same openid per mini-program and the same unionid everywhere, also after a restart', async (t) => {
  const first = await buildSandbox(t)
  const second = await buildSandbox(t)
  const [here, elsewhere, restarted, bob] = await Promise.all([
    first.login('sandbox-alice'),
    first.login('sandbox-alice', { appid: 'wxother' }),
    second.login('sandbox-alice-77'),
    first.login('sandbox-bob')
  ])
  t.equal(restarted.json.openid, here.json.openid)
  t.not(elsewhere.json.openid, here.json.openid)
  t.equal(elsewhere.json.unionid, here.json.unionid)
  t.not(bob.json.openid, here.json.openid)
})

test('a plain name works any number of times; with a suffix the code works once, in one mini-program', async (t) => {
  const { login } = await buildSandbox(t)
  t.match((await login('sandbox-alice')).json, { openid: String })
  t.match((await login('sandbox-alice')).json, { openid: String })
  t.match((await login('sandbox-alice-1')).json, { openid: String })
  t.match((await login('sandbox-alice-1')).json, { errcode: 40163 })
  t.match((await login('sandbox-alice-1', { appid: 'wxother' })).json, { errcode: 40029 })
  t.match((await login('sandbox-alice-2')).json, { openid: String })
})

test('a misspelt fault is not a code, and not a login of a user of that name', async (t) => {
  const { login } = await buildSandbox(t)
  for (const words of [
    'errcode-x-alice',
    'errcode-99999999999',
    'fault-hnag-alice',
    'status-700-alice',
    'slow-alice'
  ]) {
    t.match((await login(`sandbox-${words}`)).json, { errcode: 40029 }, words)
  }
})

test('a minted code works once, for five minutes, in its own mini-program', async (t) => {
  const { login, post, clock } = await buildSandbox(t)
  const mint = async () => String((await post('/sandbox/codes', { user: 'alice', appid: APP })).json.code)
  const code = await mint()
  t.match((await login(code, { appid: 'wxother' })).json, { errcode: 40029 })
  t.match((await login(code)).json, { openid: String })
  t.match((await login(code)).json, { errcode: 40163 })
  const late = await mint()
  clock.advance(5 * MINUTE)
  t.match((await login(late)).json, { errcode: 40029 })
})

test('missing and wrong arguments get the errcodes of WeChat', async (t) => {
  const { login, get, post } = await buildSandbox(t)
  t.match((await login('sandbox-alice', { appid: '' })).json, { errcode: 41002 })
  t.match((await login('sandbox-alice', { secret: '' })).json, { errcode: 41004 })
  t.match((await login('')).json, { errcode: 41008 })
  t.match((await login('sandbox-alice', { grant_type: 'x' })).json, { errcode: 40002 })
  t.match((await login('sandbox-alice', { secret: 'wrong-one' })).json, { errcode: 40125 })
  t.match((await post('/sns/jscode2session')).json, { errcode: 43001 })
  t.match((await get('/cgi-bin/stable_token')).json, { errcode: 43002 })
  t.match((await post('/cgi-bin/stable_token', 'not json')).json, { errcode: 47001 })
  t.match((await get('/wxa/checksession')).json, { errcode: 41001 })
  t.match((await get('/wxa/checksession', { access_token: 'x' })).json, { errcode: 40014 })
})

test('with mini-programs given, others are unknown and their secrets are checked', async (t) => {
  const { login } = await buildSandbox(t, { apps: [{ appid: APP, secret: 'right' }] })
  t.match((await login('sandbox-alice', { secret: 'right' })).json, { openid: String })
  t.match((await login('sandbox-alice')).json, { errcode: 40125 })
  t.match((await login('sandbox-alice', { appid: 'wxother', secret: 'right' })).json, { errcode: 40013 })
})

test('stable_token gives the same token until its last five minutes, then both work for five', async (t) => {
  const { post, get, clock } = await buildSandbox(t)
  const stable = async () =>
    (await post('/cgi-bin/stable_token', { grant_type: 'client_credential', appid: APP, secret: 'sandbox' })).json
  const check = async (token: unknown) => (await get('/wxa/some_call', { access_token: String(token) })).json.errcode
  const first = await stable()
  t.equal(first.expires_in, 7200)
  clock.advance(115 * MINUTE - 1000)
  t.same(await stable(), { access_token: first.access_token, expires_in: 301 })
  clock.advance(1000)
  const second = await stable()
  t.not(second.access_token, first.access_token)
  t.same([await check(first.access_token), await check(second.access_token)], [0, 0])
  clock.advance(5 * MINUTE)
  t.same([await check(first.access_token), await check(second.access_token)], [40001, 0])
  clock.advance(120 * MINUTE)
  t.equal(await check(second.access_token), 42001)
})

test('force_refresh ends the old token at once, but not twice within 30 seconds', async (t) => {
  const { post, get, clock } = await buildSandbox(t)
  const force = async () =>
    (
      await post('/cgi-bin/stable_token', {
        grant_type: 'client_credential',
        appid: APP,
        secret: 'sandbox',
        force_refresh: true
      })
    ).json.access_token
  const first = await force()
  t.equal(await force(), first)
  clock.advance(30_000)
  t.not(await force(), first)
  t.match((await get('/wxa/some_call', { access_token: String(first) })).json, { errcode: 40001 })
})

test('the older token endpoint gives another token each time and leaves the stable one alone', async (t) => {
  const { get, token, clock } = await buildSandbox(t)
  const stable = await token()
  const query = { grant_type: 'client_credential', appid: APP, secret: 'sandbox' }
  const first = (await get('/cgi-bin/token', query)).json
  const second = (await get('/cgi-bin/token', query)).json
  t.not(first.access_token, second.access_token)
  clock.advance(6 * MINUTE)
  for (const [text, errcode] of [
    [first.access_token, 40001],
    [second.access_token, 0],
    [stable, 0]
  ] as const) {
    t.match((await get('/wxa/some_call', { access_token: String(text) })).json, { errcode })
  }
})

test('one session_key of a user is valid at a time, and only its lower-case signature counts', async (t) => {
  const { login, get, token } = await buildSandbox(t)
  const access_token = await token()
  const { json: old } = await login('sandbox-alice')
  const { json: current } = await login('sandbox-alice')
  const openid = String(current.openid)
  const check = async (signature: string, more = {}, path = '/wxa/checksession') =>
    (await get(path, { access_token, openid, signature, sig_method: 'hmac_sha256', ...more })).json
  t.match(await check(sign(current.session_key)), { errcode: 0, errmsg: 'ok' })
  t.match(await check(sign(old.session_key)), { errcode: 87009 })
  t.match(await check(sign(current.session_key).toUpperCase()), { errcode: 87009 })
  t.match(await check(sign(current.session_key), { sig_method: 'md5' }), { errcode: 87008 })
  t.match(await check(sign(current.session_key), { openid: 'o-nobody' }), { errcode: 40003 })
  const reset = await check(sign(current.session_key), {}, '/wxa/resetusersessionkey')
  t.match(reset, { errcode: 0, openid, session_key: /^.{22}==$/ })
  t.match(await check(sign(current.session_key)), { errcode: 87009 })
  t.match(await check(sign(reset.session_key)), { errcode: 0 })
})

test('any other call with a token is answered with the request', async (t) => {
  const { post, get, token } = await buildSandbox(t)
  const access_token = await token()
  const reply = await post('/wxa/whatever', 'abc', { access_token, x: '1' })
  t.match(reply.json, { errcode: 0, echo: { method: 'POST', path: '/wxa/whatever', query: { x: '1' }, body_bytes: 3 } })
  t.notOk(reply.text.includes(access_token))
  t.match((await get('/cgi-bin/get_api_domain_ip', { access_token })).json, { errcode: 0 })
})

test('content check, message and code image have their own answers', async (t) => {
  const { post, login, token, url } = await buildSandbox(t)
  const access_token = await token()
  const openid = (await login('sandbox-alice')).json.openid
  const check = async (content: string) =>
    (await post('/wxa/msg_sec_check', { openid, scene: 1, version: 2, content }, { access_token })).json
  t.match(await check('hello'), { errcode: 0, result: { suggest: 'pass' } })
  t.match(await check('sandbox-risky'), { errcode: 0, result: { suggest: 'risky' } })
  const send = { touser: openid, template_id: 't', data: {} }
  t.match((await post('/cgi-bin/message/subscribe/send', send, { access_token })).json, { errcode: 0 })
  const draw = `${url}/wxa/getwxacodeunlimit?access_token=${access_token}`
  const image = await fetch(draw, { method: 'POST', body: '{"scene":"a=1"}' })
  t.equal(image.headers.get('content-type'), 'image/png')
  t.same(Buffer.from(await image.arrayBuffer()).subarray(1, 4), Buffer.from('PNG'))
  t.match((await post('/wxa/getwxacodeunlimit', {}, { access_token })).json, { errcode: 40097 })
})

test('latency is waited out before every answer of WeChat', async (t) => {
  const { login } = await buildSandbox(t, { latency: 60 })
  const began = performance.now()
  await login('sandbox-alice')
  t.ok(performance.now() - began >= 55)
})

test('the code of developer tools without an AppID is an invalid code', async (t) => {
  const { login } = await buildSandbox(t)
  t.match((await login('the code is a mock one')).json, { errcode: 40029 })
})

test('the Date of an answer is the time of the sandbox', async (t) => {
  const { url, post, clock } = await buildSandbox(t)
  await post('/sandbox/clock', { advance: 3_600_000 })
  const { headers } = await fetch(`${url}/livez`)
  t.equal(Date.parse(headers.get('date') ?? ''), Math.floor((clock.now() + 3_600_000) / 1000) * 1000)
})

test('a chunked request is answered with 412 and takes no effect', async (t) => {
  const { sandbox, url } = await buildSandbox(t)
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"a":1}'))
      controller.close()
    }
  })
  const response = await fetch(`${url}/wxa/msg_sec_check`, { method: 'POST', body, duplex: 'half' })
  t.equal(response.status, 412)
  t.equal(sandbox.state.calls.list().length, 0)
})
