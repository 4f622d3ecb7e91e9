/** Invented logins and refreshes, and wrong answers of WeChat: rows W01 to W16 of the attack
 *  corpus as far as they concern logins, and bad input to every endpoint. */
import { type Test, test } from 'tap'
import type { ErrorCode } from '../src/errors.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import type { Store } from '../src/store/port.ts'
import { createTestClock } from './support/clock.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  type TestGateway,
  type TestGatewayOptions
} from './support/gateway.ts'
import { isProblem } from './support/problems.ts'
import { quietLog } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

async function build(t: Test, config: Record<string, unknown> = {}, rest: TestGatewayOptions = {}) {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { ...rest, config })
  return { gateway, upstream, exchanges: () => gateway.sandbox.state.calls.counts().total }
}

const post = (gateway: TestGateway, path: string, body: unknown, init: RequestInit = {}) =>
  gateway.call(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), ...init })

const twoApps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))

test('bodies that an endpoint does not accept are 400, and never reach WeChat', async (t) => {
  const { gateway, exchanges } = await build(t)
  const bodies: unknown[] = [
    '',
    '{',
    '{"code":"sandbox-alice"',
    '{"code":"sandbox-alice"}x',
    "{'code':'sandbox-alice'}",
    '{"code":sandbox-alice}',
    '\uFEFF\uFEFF{}',
    '\u0000',
    'null',
    'true',
    '1',
    '"sandbox-alice"',
    [],
    ['sandbox-alice'],
    {},
    { code: null },
    { code: 1 },
    { code: true },
    { code: ['sandbox-alice'] },
    { code: { $ne: '' } },
    { code: '' },
    { Code: 'sandbox-alice' },
    { code: 'sandbox-alice', appid: 1 },
    { code: 'sandbox-alice', appid: null },
    { code: 'sandbox-alice', appid: [APPID] },
    '{"code":"sandbox-alice","__proto__":{"appid":"x"}}',
    '{"code":"sandbox-alice","\\u005f_proto__":{"appid":"x"}}',
    '{"__proto__":{"code":"sandbox-alice"}}',
    '{"code":"sandbox-alice","constructor":{"prototype":{"admin":true}}}',
    `${'{"code":'.repeat(5_000)}1${'}'.repeat(5_000)}`,
    `${'['.repeat(50_000)}`
  ]
  for (const body of bodies)
    await isProblem(t, await post(gateway, '/auth/login', body), 'invalid_request', JSON.stringify(body).slice(0, 60))
  t.equal(({} as Record<string, unknown>).admin, undefined)
  t.equal(exchanges(), 0)
  const refreshes = bodies.map(
    (body) => JSON.parse(JSON.stringify(body).replaceAll('code', 'refresh_token')) as unknown
  )
  for (const body of refreshes) {
    const response = await post(gateway, '/auth/refresh', body)
    const code = ((await response.clone().json()) as { code: ErrorCode }).code
    await isProblem(
      t,
      response,
      code === 'refresh_invalid' ? code : 'invalid_request',
      JSON.stringify(body).slice(0, 60)
    )
  }
})

test('W03 a code is accepted only in its valid form, and its text never enters a query', async (t) => {
  const { gateway, exchanges } = await build(t)
  const codes = [
    'a'.repeat(513),
    'a'.repeat(10_240),
    'sandbox-alice\u0000',
    'sandbox-alice\n',
    '\r\nsandbox-alice',
    'sandbox-alice\u007f',
    'sandbox-alice&secret=x',
    'sandbox-alice%26appid=x',
    'sandbox-alice#x',
    'sandbox-alice?x',
    'sandbox-alice x',
    'sandbox-alice/../x',
    'sandbox-alice+x',
    'sandbox-älice',
    'sandbox-\u202ealice',
    'ｓandbox',
    '\ud800',
    "' OR 1=1",
    '<script>',
    '$(id)'
  ]
  for (const code of codes)
    await isProblem(
      t,
      await post(gateway, '/auth/login', { code }),
      'invalid_request',
      JSON.stringify(code).slice(0, 40)
    )
  t.equal(exchanges(), 0)
  const longest = await post(gateway, '/auth/login', { code: 'a'.repeat(512) })
  await isProblem(t, longest, 'code_invalid')
  const [call] = gateway.sandbox.state.calls.list('/sns/jscode2session')
  t.same(Object.keys(call?.params ?? {}).sort(), ['appid', 'grant_type', 'js_code', 'secret'])
})

test('bodies of another type or size are refused, and never reach WeChat', async (t) => {
  const { gateway, exchanges } = await build(t)
  const body = '{"code":"sandbox-alice"}'
  const types = [
    'text/plain',
    'text/html',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/octet-stream',
    'application/jsonp',
    'application/json-patch+json',
    ';;;',
    'application'
  ]
  for (const type of types) {
    const response = await post(gateway, '/auth/login', body, { headers: { 'content-type': type } })
    t.match(await response.clone().json(), { detail: 'Send the body as application/json.' }, type)
    await isProblem(t, response, 'invalid_request', type)
  }
  const bytes = await gateway.call('/auth/login', { method: 'POST', body: Buffer.from(body) })
  await isProblem(t, bytes, 'invalid_request', 'no type')
  await isProblem(t, await gateway.call('/auth/login', { method: 'POST' }), 'invalid_request', 'no body')
  const zipped = await post(gateway, '/auth/login', body, { headers: { 'content-encoding': 'gzip' } })
  t.ok([200, 400].includes(zipped.status), 'an encoding is not decoded')
  const before = exchanges()
  const pad = 'x'.repeat(300 * 1024)
  for (const path of ['/auth/login', '/auth/refresh']) {
    await isProblem(t, await post(gateway, path, { code: 'sandbox-alice', pad }), 'body_too_large', path)
    const chunks = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`
    const chunk = `${pad.length.toString(16)}\r\n${pad}\r\n0\r\n\r\n`
    t.match(await gateway.raw(chunks + chunk), /^HTTP\/1.1 413 [\s\S]*"body_too_large"/, `${path}, chunked`)
  }
  t.equal(exchanges(), before)
  const good = await post(gateway, '/auth/login', body, {
    headers: { 'content-type': 'Application/JSON; Charset=UTF-8' }
  })
  t.equal(good.status, 200)
})

test('an appid that is not configured is 400, and several apps require one', async (t) => {
  const { gateway, exchanges } = await build(t, { apps: twoApps })
  for (const appid of [
    'wx0000000000000000',
    '',
    APPID.toUpperCase(),
    `${APPID} `,
    '__proto__',
    'constructor',
    'x'.repeat(65)
  ])
    await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-alice', appid }), 'invalid_request', appid)
  await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-alice' }), 'invalid_request', 'left out')
  t.equal(exchanges(), 0)
  const [one, other] = [await gateway.login('alice', APPID), await gateway.login('alice', OTHER_APPID)]
  t.same([one.status, other.status], [200, 200])
})

test('W02 a code of one mini-program is not valid in another', async (t) => {
  const { gateway } = await build(t, { apps: twoApps })
  const code = gateway.sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: APPID })
  await isProblem(t, await post(gateway, '/auth/login', { code, appid: OTHER_APPID }), 'code_invalid')
  t.ok(
    gateway.lines.some((line) => line.includes('"errcode":40029') && line.includes(OTHER_APPID)),
    'it is logged'
  )
  t.equal((await gateway.login(code, APPID)).status, 200, 'it still works in its own')
})

const FAULTS: readonly (readonly [fault: string, code: ErrorCode])[] = [
  ['errcode--1', 'wechat_unavailable'],
  ['errcode-40029', 'code_invalid'],
  ['errcode-40163', 'code_used'],
  ['errcode-40226', 'login_blocked'],
  ['errcode-45011', 'rate_limited'],
  ['errcode-40013', 'wechat_misconfigured'],
  ['errcode-40125', 'wechat_misconfigured'],
  ['errcode-40164', 'wechat_misconfigured'],
  ['errcode-41002', 'wechat_misconfigured'],
  ['errcode-41008', 'invalid_request'],
  ['errcode-99999', 'wechat_unavailable'],
  ['status-400', 'wechat_unavailable'],
  ['status-404', 'wechat_unavailable'],
  ['status-500', 'wechat_unavailable'],
  ['status-502', 'wechat_unavailable'],
  ['status-503', 'wechat_unavailable'],
  ['html', 'wechat_unavailable'],
  ['empty', 'wechat_unavailable'],
  ['huge', 'wechat_unavailable'],
  ['array', 'wechat_unavailable'],
  ['reset', 'wechat_unavailable'],
  ['truncated', 'wechat_unavailable'],
  ['garbage', 'wechat_unavailable'],
  ['no-openid', 'wechat_unavailable'],
  ['bad-openid', 'wechat_unavailable'],
  ['two-openids', 'wechat_unavailable'],
  ['no-session-key', 'wechat_unavailable'],
  ['bad-session-key', 'wechat_unavailable']
]

test('W04 each answer of WeChat to a login has one meaning, found with one call', async (t) => {
  const { gateway, exchanges } = await build(t)
  for (const [fault, code] of FAULTS) {
    const before = exchanges()
    const response = await post(gateway, '/auth/login', { code: `sandbox-${fault}` })
    await isProblem(t, response, code, fault)
    t.equal(exchanges(), before + 1, `${fault}: asked once`)
  }
  const busy = await post(gateway, '/auth/login', { code: 'sandbox-errcode-45011-x' })
  t.equal(busy.headers.get('retry-after'), '60')
  for (const shape of ['errcode-zero', 'errcode-text', 'bom', 'json-type', 'no-unionid', 'empty-unionid', 'slow-50'])
    t.equal((await gateway.login(`sandbox-${shape}-alice`)).status, 200, shape)
})

test('W04 a login that WeChat does not answer in time is wechat_unavailable, after one call', async (t) => {
  const { gateway, exchanges } = await build(t, { wechat: { apiBase: 'sandbox', timeout: '400ms' } })
  const faults = ['hang', 'drip', 'slow-60000']
  await Promise.all(
    faults.map(async (fault) => {
      const response = await post(gateway, '/auth/login', { code: `sandbox-${fault}` })
      await isProblem(t, response, 'wechat_unavailable', fault)
    })
  )
  t.equal(exchanges(), faults.length)
})

test('W04 a code that may be spent is not sent again', async (t) => {
  const { gateway, exchanges } = await build(t)
  for (const kind of ['reset', 'truncated', 'html'] as const) {
    gateway.sandbox.state.faults.add({
      path: '/sns/jscode2session',
      fault: { kind },
      appId: null,
      times: 1,
      skip: 0,
      after: true
    })
    const code = gateway.sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: APPID })
    const before = exchanges()
    await isProblem(t, await post(gateway, '/auth/login', { code }), 'wechat_unavailable', kind)
    t.equal(exchanges(), before + 1, kind)
    await isProblem(
      t,
      await post(gateway, '/auth/login', { code }),
      'code_used',
      `${kind}: when the client tries again`
    )
  }
})

test('without WeChat logins are 503, and work again when it is back', async (t) => {
  const { gateway } = await build(t)
  await gateway.sandbox.close()
  const tries = await Promise.all(
    Array.from({ length: 20 }, (_, i) => post(gateway, '/auth/login', { code: `sandbox-u${i}` }))
  )
  for (const response of tries) await isProblem(t, response, 'wechat_unavailable')
  await gateway.sandbox.listen(Number(new URL(gateway.sandboxUrl).port))
  t.equal((await gateway.login('alice')).status, 200)
})

test('W01 a code posted many times at once is exchanged once, and every sender gets the same answer', async (t) => {
  const { gateway, exchanges } = await build(t)
  const body = { code: 'sandbox-slow-100-alice-once' }
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => (await post(gateway, '/auth/login', body)).text())
  )
  t.equal(new Set(answers).size, 1)
  t.match(JSON.parse(answers[0] ?? ''), { user: { is_new: true } })
  t.equal(exchanges(), 1)
  t.equal(await (await post(gateway, '/auth/login', body)).text(), answers[0], 'and again a moment later')
  t.equal(exchanges(), 1)
})

test('W01 a refused code stays refused for concurrent senders; a failure is not remembered', async (t) => {
  const { gateway, exchanges } = await build(t)
  const all = await Promise.all(
    Array.from({ length: 5 }, () => post(gateway, '/auth/login', { code: 'sandbox-errcode-40029-alice' }))
  )
  for (const response of all) await isProblem(t, response, 'code_invalid')
  await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-errcode-40029-alice' }), 'code_invalid')
  t.equal(exchanges(), 1)
  const fault = { kind: 'errcode' as const, errcode: -1 }
  gateway.sandbox.state.faults.add({ path: '*', fault, appId: null, times: 1, skip: 0, after: false })
  const code = 'sandbox-alice-fresh'
  await isProblem(t, await post(gateway, '/auth/login', { code }), 'wechat_unavailable')
  t.equal((await post(gateway, '/auth/login', { code })).status, 200, 'WeChat was busy: the code is still valid')
})

test('a code whose session has since ended gives no more tokens', async (t) => {
  for (const body of ['', '{"all":true}']) {
    const { gateway } = await build(t)
    const { access_token: token } = await gateway.login('sandbox-alice-1')
    t.equal((await post(gateway, '/auth/logout', body, { headers: { authorization: `Bearer ${token}` } })).status, 204)
    await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-alice-1' }), 'code_used', body)
  }
})

test('a reusable code of the sandbox logs in again after a logout', async (t) => {
  const { gateway } = await build(t)
  const first = await gateway.login('sandbox-alice')
  const headers = { authorization: `Bearer ${first.access_token}` }
  t.equal((await post(gateway, '/auth/logout', '', { headers })).status, 204)
  const second = await gateway.login('sandbox-alice')
  t.equal(second.status, 200)
  t.not(second.access_token, first.access_token)
  t.equal((await gateway.call('/api/x', { token: second.access_token })).status, 200)
})

test('W13 the identity comes from WeChat, whatever a body or header claims', async (t) => {
  const { gateway, upstream } = await build(t)
  const claims = {
    openid: 'oVICTIM000',
    session_key: 'x',
    unionid: 'uVICTIM000',
    user: { id: 'u_victim' },
    is_new: false
  }
  const response = await post(
    gateway,
    '/auth/login',
    { code: 'sandbox-alice', ...claims },
    {
      headers: { 'content-type': 'application/json', 'x-openid': 'oVICTIM000' }
    }
  )
  const { access_token: token, user } = (await response.json()) as { access_token: string; user: { id: string } }
  t.not(user.id, 'u_victim')
  const body = JSON.stringify({ openid: 'oVICTIM000' })
  await gateway.call('/api?openid=oVICTIM000', { method: 'POST', token, body, headers: { 'x-openid': 'oVICTIM000' } })
  const { openId, unionId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const seen = upstream.seen.at(-1)
  t.match(seen?.headers, { 'x-openid': openId, 'x-unionid': unionId, 'x-appid': APPID, 'x-user-id': user.id })
  t.equal(seen?.rawHeaders.filter((name) => name.toLowerCase() === 'x-openid').length, 1)
})

test('W14 logins are limited before WeChat, by address or by app, and the window ends', async (t) => {
  for (const by of ['ip', 'app']) {
    const clock = createTestClock(1_800_000_000_000)
    const server = { host: '127.0.0.1', port: 1, loginLimit: { max: 3, window: '1m', by } }
    const { gateway, exchanges } = await build(t, { server, apps: twoApps }, { clock })
    const attempt = (index: number, appid: string) => post(gateway, '/auth/login', { code: `random${index}`, appid })
    for (let index = 0; index < 3; index++) await isProblem(t, await attempt(index, APPID), 'code_invalid')
    for (let index = 3; index < 30; index++) {
      const response = await attempt(index, APPID)
      t.equal(response.headers.get('retry-after'), '60')
      await isProblem(t, response, 'rate_limited')
    }
    t.equal(exchanges(), 3, `by ${by}`)
    const other = await attempt(99, OTHER_APPID)
    await isProblem(t, other, by === 'ip' ? 'rate_limited' : 'code_invalid', `another app, by ${by}`)
    clock.advance(60_000)
    t.equal((await gateway.login('alice', APPID)).status, 200)
  }
})

test('W15 a Referer does not choose the mini-program', async (t) => {
  const { gateway } = await build(t, { apps: twoApps })
  const headers = {
    'content-type': 'application/json',
    referer: `https://servicewechat.com/${OTHER_APPID}/devtools/page-frame.html`
  }
  const login = await post(gateway, '/auth/login', { code: 'sandbox-alice', appid: APPID }, { headers })
  const { access_token: token } = (await login.json()) as { access_token: string }
  const session = await gateway.call('/auth/session', { token, headers })
  t.match(await session.json(), { appid: APPID })
  const none = await post(gateway, '/auth/login', { code: 'sandbox-alice' }, { headers })
  await isProblem(t, none, 'invalid_request')
})

test('W16 no part of a request chooses the address of WeChat', async (t) => {
  const { gateway, upstream } = await build(t)
  const extra = { apiBase: upstream.url, url: upstream.url, host: upstream.url, redirect: upstream.url }
  const headers = { 'content-type': 'application/json', 'x-forwarded-host': new URL(upstream.url).host }
  const response = await post(
    gateway,
    `/auth/login?apiBase=${upstream.url}`,
    { code: 'sandbox-alice', ...extra },
    { headers }
  )
  t.equal(response.status, 200)
  t.equal(upstream.seen.length, 0)
})

test('W10 a refresh token that the gateway did not sign is refused without asking the store', async (t) => {
  let reads = 0
  const memory = createMemoryStore({ clock: createTestClock(), log: quietLog() })
  const store: Store = {
    ...memory,
    get(key) {
      if (key.startsWith('session:')) reads++
      return memory.get(key)
    }
  }
  const { gateway } = await build(t, {}, { store })
  const { access_token: access, refresh_token: good } = await gateway.login('alice')
  const [prefix, kid, session, generation, tag = ''] = good.split('.')
  const flip = (text: string) => text.slice(0, -1) + (text.endsWith('A') ? 'B' : 'A')
  const before = reads
  const forged = [
    `${prefix}.${kid}.${session}.1.${tag}`,
    `${prefix}.${kid}.${session}.00.${tag}`,
    `${prefix}.${kid}.${session}.0x0.${tag}`,
    `${prefix}.${kid}.${session}.-0.${tag}`,
    `${prefix}.${kid}.${session}.1e400.${tag}`,
    `${prefix}.${kid}.${flip(session ?? '')}.${generation}.${tag}`,
    `${prefix}.${flip(kid ?? '')}.${session}.${generation}.${tag}`,
    `wxs.${kid}.${session}.${generation}.${tag}`,
    `${prefix}.${kid}.${session}.${generation}`,
    `${prefix}.${kid}.${session}.${generation}.`,
    `${good}.x`,
    `${good}A`,
    ` ${good}`,
    good.toUpperCase(),
    ...[...'ABCDEFGHIJKLMNOP'].map((last) => good.slice(0, -1) + last).filter((text) => text !== good),
    'x',
    '....',
    '__proto__',
    'x'.repeat(1_024),
    access,
    `Bearer ${access}`
  ]
  for (const refresh_token of forged) {
    const response = await post(gateway, '/auth/refresh', { refresh_token })
    const isLong = refresh_token.length > 1_024
    await isProblem(t, response, isLong ? 'invalid_request' : 'refresh_invalid', refresh_token.slice(0, 80))
  }
  t.equal(reads, before)
  t.equal((await post(gateway, '/auth/refresh', { refresh_token: good })).status, 200, 'and the real one still works')
})

test('logout takes no body, an empty one, {} or {"all":…}, and needs a session', async (t) => {
  const { gateway } = await build(t)
  const json = { 'content-type': 'application/json' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const text = { 'content-type': 'text/plain;charset=UTF-8' }
  for (const init of [
    {},
    { headers: json },
    { headers: form },
    { body: '' },
    { body: '', headers: json },
    { body: '', headers: form },
    { body: '', headers: text },
    { body: 'null' },
    { body: '{}' }
  ]) {
    const { access_token: token } = await gateway.login(`u${Math.random().toString(36).slice(2)}`)
    t.equal((await gateway.call('/auth/logout', { method: 'POST', token, ...init })).status, 204, JSON.stringify(init))
    const again = await gateway.call('/auth/logout', { method: 'POST', token })
    await isProblem(t, again, 'session_revoked')
  }
  const { access_token: token } = await gateway.login('alice')
  for (const body of ['{"all":1}', '{"all":"true"}', '[]', '"all"', '{', '{"__proto__":{"all":true}}'])
    await isProblem(t, await gateway.call('/auth/logout', { method: 'POST', token, body }), 'invalid_request', body)
  for (const headers of [form, text]) {
    const init = { method: 'POST', token, body: '{"all":true}', headers }
    await isProblem(t, await gateway.call('/auth/logout', init), 'invalid_request', 'not JSON by its type')
  }
  t.equal((await gateway.call('/auth/session', { token })).status, 200, 'none of these ended it')
  await isProblem(t, await gateway.call('/auth/logout', { method: 'POST' }), 'token_missing')
  await isProblem(t, await gateway.call('/auth/session'), 'token_missing')
})
