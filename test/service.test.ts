import { test } from 'tap'
import { phoneNumberOf } from '../src/sandbox/people.ts'
import { createTestClock } from './support/clock.ts'
import { APPID, buildTestGateway, OTHER_APPID, SERVICE_TOKEN } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { ADMIN_ONLY, build, call, keyOf, openIdOf, SESSION_ONLY, WXAPI_ONLY } from './support/service.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'
import { sandboxOpenData, sandboxPhoneCode } from './support/wechat-data.ts'

/** Every call below /v1 and /wxapi with the scope it needs. */
const CALLS = [
  ['POST', '/v1/open-data', 'session'],
  ['POST', '/v1/sign', 'session'],
  ['POST', '/v1/check-session', 'session'],
  ['POST', '/v1/reset-session', 'session'],
  ['GET', `/v1/users/${APPID}/oSomebody`, 'session'],
  ['DELETE', `/v1/users/${APPID}/oSomebody/sessions`, 'admin'],
  ['DELETE', '/v1/sessions/abcdef', 'admin'],
  ['POST', `/wxapi/${APPID}/wxa/msg_sec_check`, 'wxapi'],
  ['GET', `/wxapi/${APPID}/cgi-bin/getcallbackip`, 'wxapi']
] as const

test('without a service token no call below /v1 and /wxapi is answered', async (t) => {
  const gateway = await build(t)
  const { access_token: userToken } = await gateway.login('alice', APPID)
  const unknown = [
    ['GET', '/v1/nothing', ''],
    ['GET', '/v1', ''],
    ['GET', '/wxapi', ''],
    ['GET', `/wxapi/${APPID}`, '']
  ] as const
  for (const [method, path] of [...CALLS, ...unknown]) {
    const missing = await gateway.service(path, { method })
    t.match(await missing.json(), { status: 401, code: 'token_missing' }, `${method} ${path}`)
    t.equal(missing.headers.get('www-authenticate'), 'Bearer')
    const wrong = [SERVICE_TOKEN.slice(1), `${SERVICE_TOKEN}x`, SERVICE_TOKEN.toUpperCase(), 'x', userToken, 'a b']
    for (const token of wrong) {
      t.match(await (await gateway.service(path, { method, token })).json(), { status: 401, code: 'token_invalid' })
    }
  }
  const basic = await gateway.service('/v1/sign', {
    method: 'POST',
    headers: { authorization: `Basic ${SERVICE_TOKEN}` }
  })
  t.match(await basic.json(), { code: 'token_invalid' })
})

test('with no tokens configured every credential is refused', async (t) => {
  const gateway = await build(t, { config: { service: { host: '127.0.0.1', port: 2 } } })
  for (const [method, path] of CALLS) {
    t.equal((await gateway.service(path, { method })).status, 401)
    t.equal((await gateway.service(path, { method, token: SERVICE_TOKEN })).status, 401)
  }
})

test('a token opens the calls of its scopes, and nothing else', async (t) => {
  const gateway = await build(t)
  const tokens = { session: SESSION_ONLY, admin: ADMIN_ONLY, wxapi: WXAPI_ONLY }
  for (const [method, path, needed] of CALLS) {
    for (const [scope, token] of Object.entries(tokens)) {
      const response = await gateway.service(path, { method, token })
      if (scope === needed) t.ok(response.status !== 401 && response.status !== 403, `${scope}: ${method} ${path}`)
      else t.match(await response.json(), { status: 403, code: 'forbidden' }, `${scope}: ${method} ${path}`)
    }
  }
  t.match(await call(gateway, '/v1/nothing', {}), { status: 404, body: { code: 'not_found' } })
})

test('a path without an endpoint is 404 and another method 405, whatever the body is', async (t) => {
  const gateway = await build(t)
  const rows = [
    ['GET', '/v1/open-data', 405, 'POST'],
    ['PUT', '/v1/sign', 405, 'POST'],
    ['POST', `/v1/users/${APPID}/oSomebody`, 405, 'GET, HEAD'],
    ['PUT', '/v1/sessions/abcdef', 405, 'DELETE, GET, HEAD'],
    ['POST', '/metrics', 405, 'GET, HEAD'],
    ['POST', '/livez', 405, 'GET, HEAD'],
    ['POST', '/v1/nothing', 404, null],
    ['DELETE', `/v1/users/${APPID}/oSomebody`, 405, 'GET, HEAD'],
    ['DELETE', `/v1/users/${APPID}/oSomebody/sessions/x`, 404, null],
    ['POST', '/v1/sign/', 404, null],
    ['POST', '/', 405, 'GET, HEAD']
  ] as const
  for (const [method, path, status, allow] of rows) {
    for (const body of method === 'GET' ? [undefined] : [undefined, '{', 'x'.repeat(300_000)]) {
      const response = await gateway.service(path, { method, token: SERVICE_TOKEN, ...(body ? { body } : {}) })
      const label = `${method} ${path}, ${body?.length ?? 0} bytes`
      t.equal(response.headers.get('allow'), allow, label)
      t.match(await response.json(), { status, code: status === 405 ? 'method_not_allowed' : 'not_found' }, label)
    }
  }
  t.match(await (await gateway.service('/v1/open-data')).json(), { code: 'token_missing' })
})

test("a path that no router can read is refused in the gateway's format", async (t) => {
  const gateway = await build(t)
  const rows = [
    [`/v1/users/${APPID}/%ff`, 'bad_path'],
    [`/v1/users/${APPID}/%`, 'bad_path'],
    [`/v1/users/${APPID}/${'o'.repeat(1000)}`, 'invalid_request'],
    [`/v1/users/${APPID}/%E4%B8%AD`, 'invalid_request'],
    [`/wxapi/${'x'.repeat(1000)}/wxa/msg_sec_check`, 'invalid_request']
  ] as const
  for (const [path, code] of rows) {
    const response = await gateway.service(path, { token: SERVICE_TOKEN })
    t.match(response.headers.get('content-type'), 'application/problem+json', path.slice(0, 60))
    t.match(await response.json(), { status: 400, code, request_id: /^[0-9a-f]{32}$/ }, path.slice(0, 60))
  }
})

test('bytes that are not a request, or too large a head, are answered in the same format', async (t) => {
  const gateway = await build(t, { config: { server: { limits: { headers: '40kb' } } } })
  const head = `GET /v1/users/${APPID}/oNobodyAtAll HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${SERVICE_TOKEN}\r\n`
  const rows = [
    [`${head}X-Large: ${'x'.repeat(30_000)}\r\n\r\n`, 404, 'not_found'],
    [`${head}X-Large: ${'x'.repeat(45_000)}\r\n\r\n`, 431, 'headers_too_large'],
    [`GET /v1/${'x'.repeat(900_000)} HTTP/1.1\r\n\r\n`, 414, 'uri_too_long'],
    [`${head}X Y: z\r\n\r\n`, 400, 'bad_header'],
    [`${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400, 'bad_header'],
    ['HELLO\r\n\r\n', 400, 'invalid_request']
  ] as const
  for (const [bytes, status, code] of rows) {
    const client = await openClient(t, gateway.servicePort)
    client.send(bytes)
    const answer = await client.response()
    t.equal(answer.status, status, code)
    t.match(answer.headers, { 'content-type': 'application/problem+json' }, code)
    t.match(JSON.parse(answer.body), { status, code, request_id: /^[0-9a-f]{32}$/ }, code)
    client.close()
  }
})

test('the record of a user has the number for holders of the scope', async (t) => {
  const clock = createTestClock(Date.UTC(2026, 10, 23, 12))
  const gateway = await build(t, { clock })
  const { access_token: token, user } = await gateway.login('sandbox-alice-1', APPID)
  const path = `/v1/users/${APPID}/${openIdOf(gateway, 'alice')}`
  const read = () => call(gateway, path, undefined, SESSION_ONLY, 'GET')
  const { unionId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const anonymous = {
    id: user.id,
    status: 'anonymous',
    unionid: unionId,
    linked_ids: [],
    phone: null,
    first_login: '2026-11-23T12:00:00.000Z',
    last_login: '2026-11-23T12:00:00.000Z',
    authorization_revoked_at: null
  }
  t.same(await read(), { status: 200, body: anonymous })
  const code = await sandboxPhoneCode(gateway, 'alice')
  await gateway.call('/auth/phone', { method: 'POST', token, body: JSON.stringify({ code }) })
  clock.advance(60_000)
  await gateway.login('sandbox-alice-2', APPID)
  t.same((await read()).body, {
    ...anonymous,
    status: 'bound',
    phone: { number: phoneNumberOf('alice'), country_code: '86' },
    last_login: '2026-11-23T12:01:00.000Z'
  })
  t.match(await call(gateway, path.replace(APPID, OTHER_APPID), undefined, SESSION_ONLY, 'GET'), {
    status: 404,
    body: { code: 'not_found' }
  })
  t.match(await call(gateway, `/v1/users/${APPID}/oNobodyAtAll`, undefined, SESSION_ONLY, 'GET'), { status: 404 })
})

test('ending the sessions of a user is in force at once, and only for that user of that mini-program', async (t) => {
  const gateway = await build(t)
  const phone = await gateway.login('sandbox-alice-1', APPID)
  const tablet = await gateway.login('sandbox-alice-2', APPID)
  const other = await gateway.login('alice', OTHER_APPID)
  const bob = await gateway.login('bob', APPID)
  const path = `/v1/users/${APPID}/${openIdOf(gateway, 'alice')}/sessions`
  t.same(await call(gateway, path, undefined, ADMIN_ONLY, 'DELETE'), { status: 204, body: null })
  for (const { access_token: token } of [phone, tablet]) {
    t.match(await (await gateway.call('/api/x', { token })).json(), { code: 'session_revoked', action: 'login' })
  }
  for (const { access_token: token } of [other, bob]) t.equal((await gateway.call('/api/x', { token })).status, 200)
  const refresh = JSON.stringify({ refresh_token: phone.refresh_token })
  t.equal((await gateway.call('/auth/refresh', { method: 'POST', body: refresh })).status, 401)
  t.equal((await gateway.login('sandbox-alice-3', APPID)).status, 200, 'and may log in again')
  t.match(await call(gateway, `/v1/users/${APPID}/oNobodyAtAll/sessions`, undefined, ADMIN_ONLY, 'DELETE'), {
    status: 404
  })
})

test('one session can be ended by its id', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const phone = await gateway.login('sandbox-alice-1')
  const tablet = await gateway.login('sandbox-alice-2')
  await gateway.call('/api/x', { token: phone.access_token })
  const sid = upstream.seen[0]?.headers['x-session-id']
  t.same(await call(gateway, `/v1/sessions/${sid}`, undefined, SERVICE_TOKEN, 'DELETE'), { status: 204, body: null })
  t.equal((await gateway.call('/api/x', { token: phone.access_token })).status, 401)
  t.equal((await gateway.call('/api/x', { token: tablet.access_token })).status, 200)
  t.match(await call(gateway, `/v1/sessions/${sid}`, undefined, SERVICE_TOKEN, 'DELETE'), {
    status: 404,
    body: { code: 'not_found' }
  })
  t.equal((await call(gateway, '/v1/sessions/nonsense', undefined, SERVICE_TOKEN, 'DELETE')).status, 404)
})

test('a DELETE without a body may name its type, as many HTTP clients do', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const headers = { 'content-type': 'application/json' }
  const kick = (path: string) => gateway.service(path, { method: 'DELETE', token: SERVICE_TOKEN, headers })
  t.equal((await kick(`/v1/users/${APPID}/${openIdOf(gateway, 'alice')}/sessions`)).status, 204)
  t.equal((await kick('/v1/sessions/nonsense')).status, 404)
  const response = await gateway.service('/v1/sign', { method: 'POST', token: SERVICE_TOKEN, headers })
  t.match(await response.json(), { status: 400, code: 'invalid_request' })
})

test('bad input is refused before anything is done', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const user = { appid: APPID, openid: openIdOf(gateway, 'alice') }
  const bodies: Record<string, unknown[]> = {
    '/v1/open-data': [
      { ...user, encryptedData: 'AAAA' },
      { ...user, iv: 'AAAA' },
      { ...user, encryptedData: 1, iv: 'AAAA' },
      { ...user, encryptedData: 'A'.repeat(70_000), iv: 'AAAA' }
    ],
    '/v1/sign': [user, { ...user, body: { foo: 'bar' } }, { ...user, body: null }],
    '/v1/check-session': [],
    '/v1/reset-session': []
  }
  const usual = [
    {},
    [],
    'x',
    { appid: APPID },
    { openid: user.openid },
    { ...user, openid: 'a/b' },
    { ...user, openid: 7 }
  ]
  for (const [path, special] of Object.entries(bodies)) {
    for (const body of [...usual, ...special]) {
      t.match(
        await call(gateway, path, body),
        { status: 400, body: { code: 'invalid_request' } },
        `${path} ${JSON.stringify(body).slice(0, 80)}`
      )
    }
    const complete = { ...user, body: 'x', encryptedData: 'AAAA', iv: 'AAAA' }
    const unknownApp = await call(gateway, path, { ...complete, appid: 'wx0000000000000000' })
    t.match(unknownApp, { status: 400, body: { code: 'invalid_request', detail: /appid/ } }, path)
    const huge = await call(gateway, path, { ...complete, body: 'x'.repeat(10_000_000) })
    t.match(huge, { status: 413, body: { code: 'body_too_large' } }, path)
  }
  const unknown = `/v1/users/wx0000000000000000/${user.openid}`
  t.match(await call(gateway, unknown, undefined, SERVICE_TOKEN, 'GET'), { status: 400 })
  t.match(await call(gateway, `${unknown}/sessions`, undefined, SERVICE_TOKEN, 'DELETE'), { status: 400 })
  t.match(await call(gateway, `/v1/users/${APPID}/a%20b`, undefined, SERVICE_TOKEN, 'GET'), { status: 400 })
  t.equal(gateway.sandbox.state.calls.counts().byPath['/wxa/resetusersessionkey'], undefined)
})

test('every call leaves one line: caller, call, subject and result, and no secret', async (t) => {
  const gateway = await build(t)
  const { user, access_token: token } = await gateway.login('alice', APPID)
  const openid = openIdOf(gateway, 'alice')
  const who = { appid: APPID, openid }
  const sid = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sid as string
  const sealed = await sandboxOpenData(gateway, 'alice')
  const key = keyOf(gateway, 'alice')
  gateway.lines.length
  await call(gateway, '/v1/sign', { ...who, body: 'canary-body' }, SESSION_ONLY)
  await call(gateway, '/v1/open-data', { ...who, encryptedData: sealed.encryptedData, iv: sealed.iv }, SESSION_ONLY)
  await call(gateway, '/v1/sign', { ...who, openid: 'oNobodyAtAll', body: 'x' }, SESSION_ONLY)
  await call(gateway, '/v1/sign', { ...who, body: 'x' }, ADMIN_ONLY)
  await call(gateway, '/v1/sign', { ...who, body: 'x' }, 'wrong-token-0123456789')
  await call(gateway, `/wxapi/${APPID}/wxa/some/call?q=canary-query`, { a: 1 }, WXAPI_ONLY)
  await call(gateway, `/v1/sessions/${sid}`, undefined, ADMIN_ONLY, 'DELETE')
  const auditLines = () => gateway.lines.filter((line) => line.includes('"service_call"'))
  await until(() => auditLines().length >= 7)
  const audit = auditLines().map((line) => JSON.parse(line))
  t.match(audit, [
    { caller: 'orders', endpoint: 'POST /v1/sign', app: APPID, user: user.id, status: 200, result: 'ok' },
    { caller: 'orders', endpoint: 'POST /v1/open-data', app: APPID, user: user.id, status: 200, result: 'ok' },
    { caller: 'orders', endpoint: 'POST /v1/sign', app: APPID, user: null, status: 409, result: 'session_key_stale' },
    { caller: 'desk', endpoint: 'POST /v1/sign', app: null, user: null, status: 403, result: 'forbidden' },
    { caller: null, endpoint: 'POST /v1/sign', app: null, user: null, status: 401, result: 'token_invalid' },
    { caller: 'mailer', app: APPID, path: '/wxa/some/call', status: 200, result: 'ok' },
    { caller: 'desk', endpoint: 'DELETE /v1/sessions/:sid', app: APPID, user: user.id, status: 204, result: 'ok' }
  ])
  t.equal(audit.length, 7)
  const lines = gateway.lines.join('')
  const secrets = { openid, key, token: SESSION_ONLY, body: 'canary-body', query: 'canary-query', wrong: 'wrong-token' }
  for (const [what, secret] of Object.entries(secrets)) t.notOk(lines.includes(secret), what)
})

test('a call whose backend disconnects before the answer leaves its line too', async (t) => {
  const gateway = await build(t)
  const { user } = await gateway.login('alice', APPID)
  const { faults, calls } = gateway.sandbox.state
  const path = '/wxa/resetusersessionkey'
  faults.add({ path, fault: { kind: 'hang' }, appId: null, times: 1, skip: 0, after: false })
  const leaving = new AbortController()
  const body = JSON.stringify({ appid: APPID, openid: openIdOf(gateway, 'alice') })
  const init = { method: 'POST', token: SERVICE_TOKEN, body, signal: leaving.signal }
  const answer = gateway.service('/v1/reset-session', init).catch(() => null)
  await until(() => calls.list(path).length === 1)
  leaving.abort()
  await answer
  const audit = () => gateway.lines.filter((line) => line.includes('service_call')).map((line) => JSON.parse(line))
  await until(() => audit().length > 0)
  const endpoint = 'POST /v1/reset-session'
  t.match(audit(), [{ caller: 'all', endpoint, user: user.id, status: 499, result: 'client_left' }])
})
