/** Invented logins and refreshes: rows W02, W03, W10, W13, W15 and W16 of the attack corpus. */
import { test } from 'tap'
import type { ErrorCode } from '../src/errors.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import type { Store } from '../src/store/port.ts'
import { createTestClock } from './support/clock.ts'
import { APPID, OTHER_APPID } from './support/gateway.ts'
import { build, post, twoApps } from './support/login.ts'
import { isProblem } from './support/problems.ts'
import { quietLog } from './support/store.ts'

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
