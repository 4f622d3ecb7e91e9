/** Data pre-fetch: WeChat's servers ask for the data of a user, by a code or by our token. */

import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'

interface Setup {
  readonly prefetch?: object
  readonly config?: object
  readonly answer?: (res: ServerResponse) => void
}

async function build(t: Test, { prefetch, config, answer }: Setup = {}) {
  const upstream = await startUpstream(t, (req, res) => {
    if (req.url === '/hook') res.writeHead(200, { 'content-type': 'application/json' }).end('{"deny":true}')
    else if (answer) answer(res)
    else res.writeHead(200, { 'content-type': 'application/json' }).end('{"cart":[1]}')
  })
  const apps = [
    { appid: APPID, secret: APP_SECRET, prefetch: { upstream: 'app', path: '/prefetch', timeout: '5s', ...prefetch } },
    { appid: OTHER_APPID, secret: APP_SECRET }
  ]
  const gateway = await buildTestGateway(t, upstream.url, { config: { apps, ...config } })
  const ask = async (query: Record<string, string>, init: RequestInit = {}, appid = APPID) => {
    const response = await gateway.call(`/wechat/prefetch/${appid}?${new URLSearchParams(query)}`, init)
    const text = await response.text()
    return { status: response.status, text, type: response.headers.get('content-type'), code: codeOf(text) }
  }
  return { gateway, upstream, ask, sandbox: gateway.sandbox.state }
}

function codeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { code?: unknown }).code
  } catch {
    return undefined
  }
}

test('by our token: the backend gets the call and the identity, and no credential', async (t) => {
  const { gateway, upstream, ask, sandbox } = await build(t)
  const login = await gateway.login('alice', APPID)
  const call = { appid: APPID, timestamp: '1700000000', path: 'pages/index', query: 'a=1&b=2', scene: '1001' }
  const version = { customMiniprogramVersion: '1.2.3' }
  const answer = await ask({ ...call, ...version, token: login.access_token })
  t.match(answer, { status: 200, text: '{"cart":[1]}', type: /^application\/json/ })
  const [seen] = upstream.seen
  t.match(seen, { method: 'POST', url: '/prefetch' })
  t.same(JSON.parse(seen?.body ?? ''), { ...call, ...version })
  t.match(seen?.headers, {
    'x-openid': sandbox.people.person(APPID, 'alice').openId,
    'x-appid': APPID,
    'x-user-id': login.user.id,
    'x-session-id': /./
  })
  t.notMatch(JSON.stringify(upstream.seen) + gateway.lines.join(''), login.access_token)
  const posted = JSON.stringify({ token: login.access_token, timestamp: 1700000000 })
  t.match(await ask({}, { method: 'POST', body: posted }), { status: 200 })
  t.equal(JSON.parse(upstream.seen[1]?.body ?? '').timestamp, 1700000000)
})

test('a token that is wrong, of another app or of an ended session gets nothing', async (t) => {
  const { gateway, upstream, ask } = await build(t)
  const own = await gateway.login('alice', APPID)
  const other = await gateway.login('alice', OTHER_APPID)
  t.match(await ask({ token: other.access_token }), { status: 401, code: 'token_invalid' })
  t.match(await ask({ token: `${own.access_token}x` }), { status: 401, code: 'token_invalid' })
  t.match(await ask({ token: 'a b' }), { status: 401, code: 'token_invalid' })
  await gateway.call('/auth/logout', { method: 'POST', token: own.access_token })
  t.match(await ask({ token: own.access_token }), { status: 401, code: 'session_revoked' })
  t.equal(upstream.seen.length, 0)
})

test('by code: the user is named, no session begins, and the code is spent', async (t) => {
  const { gateway, upstream, ask, sandbox } = await build(t)
  const exchanges = () => sandbox.calls.counts().byPath['/sns/jscode2session']
  t.match(await ask({ code: 'sandbox-carol' }), { status: 200, text: '{"cart":[1]}' })
  const headers: Record<string, unknown> = upstream.seen[0]?.headers ?? {}
  t.equal(headers['x-openid'], sandbox.people.person(APPID, 'carol').openId)
  t.equal(headers['x-user-id'], undefined, 'never logged in')
  t.equal(headers['x-session-id'], undefined)
  t.match(await ask({ code: 'sandbox-carol' }), { status: 401, code: 'code_used' })
  t.match(await gateway.login('sandbox-carol', APPID), { status: 401, code: 'code_used' })
  t.equal(exchanges(), 1)
  const login = await gateway.login('sandbox-dave', APPID)
  t.match(await ask({ code: 'sandbox-dave' }), { status: 401, code: 'code_used' }, 'a code of a login')
  t.equal(login.user.is_new, true)
  t.notMatch(gateway.lines.join(''), /sandbox-(?:carol|dave)/)
})

test('the session_key that a code replaced is the one that the gateway goes on with', async (t) => {
  const { gateway, ask, sandbox } = await build(t)
  const login = await gateway.login('alice', APPID)
  const user = sandbox.people.person(APPID, 'alice').openId
  const before = sandbox.people.sessionKeys(APPID, user).current
  const code = sandbox.codes.mint({ kind: 'login', name: 'alice', appId: APPID })
  t.match(await ask({ code }), { status: 200 })
  t.not(sandbox.people.sessionKeys(APPID, user).current, before)
  const check = await gateway.call('/auth/session?check=true', { token: login.access_token })
  t.match(await check.json(), { session_key: { stored: true, valid: true } })
})

test('where a login hook decides, a code gives no data to a user whom it refuses or does not know', async (t) => {
  const { gateway, upstream, ask } = await build(t, { config: { login: { hook: { upstream: 'app', path: '/hook' } } } })
  t.match(await ask({ code: 'sandbox-alice' }), { status: 403, code: 'login_blocked' }, 'not known')
  t.equal((await gateway.login('bob', APPID)).status, 403)
  const code = gateway.sandbox.state.codes.mint({ kind: 'login', name: 'bob', appId: APPID })
  t.match(await ask({ code }), { status: 403, code: 'login_blocked' })
  t.same([...new Set(upstream.seen.map(({ url }) => url))], ['/hook'])
})

test('what is not one code or one token of this app is refused before WeChat is asked', async (t) => {
  const { ask, sandbox, upstream } = await build(t)
  t.match(await ask({}), { status: 400, code: 'invalid_request' })
  t.match(await ask({ code: 'a', token: 'b' }), { status: 400, code: 'invalid_request' })
  t.match(await ask({ code: 'a b' }), { status: 400, code: 'invalid_request' })
  t.match(await ask({ code: 'sandbox-x', appid: OTHER_APPID }), { status: 400, code: 'invalid_request' })
  t.match(await ask({ code: 'sandbox-x' }, {}, OTHER_APPID), { status: 404, code: 'not_found' })
  t.match(await ask({ code: 'sandbox-x' }, {}, 'wx0000000000000000'), { status: 404, code: 'not_found' })
  t.match(await ask({}, { method: 'POST', body: '[1]' }), { status: 400, code: 'invalid_request' })
  t.match(await ask({}, { method: 'POST', body: '{"code":{"a":1}}' }), { status: 400, code: 'invalid_request' })
  t.equal(sandbox.calls.counts().total, 0)
  t.match(await ask({ code: 'errcode-40029' }), { status: 401, code: 'code_invalid' })
  t.equal(upstream.seen.length, 0)
})

test('an answer of 256 KB passes; a larger one, a refusal and a silent backend fail', async (t) => {
  const MAX = 256 * 1024
  let body = 'x'.repeat(MAX)
  let status = 200
  const { gateway, ask } = await build(t, {
    prefetch: { timeout: '1s' },
    answer: (res) => void (status === 0 ? res.socket?.pause() : res.writeHead(status).end(body))
  })
  const { access_token: token } = await gateway.login('alice', APPID)
  const whole = await ask({ token })
  t.match(whole, { status: 200, type: /^text\/plain/ })
  t.equal(whole.text.length, MAX)
  body += 'x'
  t.match(await ask({ token }), { status: 502, code: 'upstream_invalid' })
  status = 404
  t.match(await ask({ token }), { status: 502, code: 'upstream_invalid' })
  status = 0
  t.match(await ask({ token }), { status: 504, code: 'upstream_timeout' })
})

test('an answer that is no UTF-8 text, such as a compressed one, is refused and not passed on in part', async (t) => {
  let body = gzipSync('{"a":1}')
  const { gateway, ask } = await build(t, { answer: (res) => void res.end(body) })
  const { access_token: token } = await gateway.login('alice', APPID)
  t.match(await ask({ token }), { status: 502, code: 'upstream_invalid' })
  body = Buffer.from([0x61, 0xff, 0x62])
  t.match(await ask({ token }), { status: 502, code: 'upstream_invalid' })
  body = Buffer.from('{"a":"茶"}')
  t.match(await ask({ token }), { status: 200, text: '{"a":"茶"}' })
})

test('one address has a limit', async (t) => {
  const { gateway, ask } = await build(t, { prefetch: { rateLimit: { max: 1, window: '1h' } } })
  const { access_token: token } = await gateway.login('alice', APPID)
  t.match(await ask({ token }), { status: 200 })
  t.match(await ask({ token }), { status: 429, code: 'rate_limited' })
})
