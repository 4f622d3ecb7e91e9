import { test } from 'tap'
import { judgePath, withAccessToken } from '../src/platforms/wechat/egress-paths.ts'
import { build, call, callsOf, type Echo, sha256, TOKEN_CALL } from './support/egress.ts'
import { APPID, OTHER_APPID, SERVICE_TOKEN } from './support/gateway.ts'

type Body = NonNullable<RequestInit['body']>

test('a call reaches WeChat unchanged, with the access token added', async (t) => {
  const gateway = await build(t)
  const body = '{"a":1, "b":"茶"}'
  const response = await call(gateway, '/wxa/some/call?x=1&y=%E8%8C%B6&x=2', { method: 'POST', body })
  t.equal(response.status, 200)
  const { echo } = (await response.json()) as Echo
  t.match(echo, {
    method: 'POST',
    path: '/wxa/some/call',
    body_bytes: Buffer.byteLength(body),
    body_sha256: sha256(body)
  })
  t.equal(echo.query.y, '茶')
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    t.equal(((await (await call(gateway, '/any/thing', { method })).json()) as Echo).echo.method, method)
  }
  t.equal((await call(gateway, '/any/thing', { method: 'HEAD' })).status, 200)
  t.equal(callsOf(gateway, TOKEN_CALL), 1, 'one token for all of them')
})

test("the caller's own access_token is removed in every spelling", async (t) => {
  const gateway = await build(t)
  const queries = [
    'access_token=mine',
    'ACCESS_TOKEN=mine',
    '%61ccess_token=mine',
    'access%5Ftoken=mine&access_token=x'
  ]
  for (const query of queries) {
    const answer = (await (await call(gateway, `/a/b?q=1&${query}&z=2`)).json()) as Echo
    t.match(answer, { errcode: 0, echo: { query: { q: '1', z: '2' } } }, query)
    t.same(Object.keys(answer.echo.query), ['q', 'z'])
  }
  const cases = {
    '': '?access_token=T',
    '?': '?access_token=T',
    '?a=1&a=2': '?access_token=T&a=1&a=2',
    '?access_token': '?access_token=T',
    '?a=access_token': '?access_token=T&a=access_token',
    '?+access_token+=x&b': '?access_token=T&b',
    '?access_token[]=x': '?access_token=T',
    '?a=1;access_token=x&b=2': '?access_token=T&b=2',
    '?%61ccess_token%ff=x': '?access_token=T',
    '?my_access_token=x': '?access_token=T&my_access_token=x'
  }
  for (const [query, expected] of Object.entries(cases)) t.equal(withAccessToken(query, 'T'), expected)
  t.equal(withAccessToken('?a', 'T&x=1'), '?access_token=T%26x%3D1&a')
})

test('each mini-program is called with its own token', async (t) => {
  const gateway = await build(t)
  await gateway.login('alice', APPID)
  const openid = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const send = async (appid: string) => {
    const body = JSON.stringify({ openid, content: 'tea' })
    return (await (await call(gateway, '/wxa/msg_sec_check', { method: 'POST', body }, appid)).json()) as Echo
  }
  t.match(await send(APPID), { errcode: 0 })
  t.match(await send(OTHER_APPID), { errcode: 40003 }, 'no user there has this openid')
  t.match(await (await call(gateway, '/a', {}, 'wx0000000000000000')).json(), { status: 400, code: 'invalid_request' })
})

test('paths whose answer is a credential are refused in every spelling', async (t) => {
  const gateway = await build(t)
  const refused = [
    '/sns/jscode2session',
    '/sns/oauth2/access_token',
    '/sns',
    '/SNS/x',
    '/%73ns/x',
    '/cgi-bin/token',
    '/cgi-bin/token/',
    '/cgi-bin/Token',
    '/CGI-BIN/TOKEN',
    '/cgi-bin/%74oken',
    '/cgi-bin%2Ftoken',
    '/cgi-bin%252Ftoken',
    '/cgi-bin/token;a=b',
    '/cgi-bin;x/token',
    '/cgi-bin/token%3Fx',
    '/cgi-bin/token%23',
    '/cgi-bin/token%2F',
    '/cgi-bin/%EF%BD%94oken',
    '/cgi-bin/stable_token',
    '/cgi-bin/stable%5Ftoken',
    '/wxa/resetusersessionkey',
    '/wxa/business/getuserencryptkey',
    '/wxa/business/getUserEncryptKey/x'
  ]
  for (const path of refused) {
    for (const method of ['GET', 'POST']) {
      t.match(await (await call(gateway, `${path}?a=b`, { method })).json(), { status: 403, code: 'forbidden' }, path)
    }
  }
  t.same(gateway.sandbox.state.calls.counts().total, 0, 'WeChat was not called')
})

test('a path that can be read in two ways is refused', async (t) => {
  const gateway = await build(t)
  const raw = async (path: string) => {
    const head = `GET /wxapi/${APPID}${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer ${SERVICE_TOKEN}\r\n\r\n`
    return (await gateway.raw(head, { port: gateway.servicePort })).slice(9, 12)
  }
  const paths = [
    '/x/../cgi-bin/token',
    '/x/%2e%2e/cgi-bin/token',
    '/./cgi-bin/token',
    '//cgi-bin/token',
    '/cgi-bin//token',
    '/cgi-bin\\token',
    '/cgi-bin/token.',
    '/cgi-bin/token%20',
    '/cgi-bin/token%00',
    '/a%2Fb',
    '/a;b/c',
    '/a%252Fb'
  ]
  for (const path of paths) t.match(await raw(path), /^40[03]$/, path)
  t.equal(await raw(''), '404')
  t.equal(await raw('/'), '404')
  t.equal(await raw(`/../${OTHER_APPID}/a`), '400')
  t.same(gateway.sandbox.state.calls.counts().total, 0)
})

test('an odd spelling of a call is answered with an error of the contract, and never reaches WeChat', async (t) => {
  const gateway = await build(t)
  const spellings: Readonly<Record<string, readonly string[]>> = {
    '400 bad_path': [
      ...[`/wxapi//${APPID}/a`, `//wxapi/${APPID}/a`, `/wxapi/${APPID}//`, `/wxapi/./${APPID}/a`],
      ...[`/wxapi/x/../${APPID}/a`, `/wxapi/%2e/${APPID}/a`, `/wxapi/${APPID}/%2e%2e/a`, `/wxapi/${APPID}/a/..`],
      ...[`/x/../wxapi/${APPID}/a`, `/wxapi/${APPID}/a/../../../v1/status`, `/wxapi/${APPID}/..%2Fa`],
      ...[`/wxapi/${APPID}/a%252Fb`, `/wxapi/${APPID}/a%5Cb`, `/wxapi\\${APPID}\\a`, `/wxapi/${APPID}./a`],
      ...[`/wxapi/${APPID}%00/a`, `/wxapi/${APPID}/a%00`, `/wxapi/${APPID}/a%zz`, `/wxapi/${APPID}/%ff`],
      ...[`/wxapi/${APPID}/a#b`, '/wxapi/%20/a', '/wxapi/%/a']
    ],
    '400 invalid_request': [
      ...[`/wxapi/%2F${APPID}/a`, `/wxapi/${APPID};x/a`, `/wxapi/${APPID.toUpperCase()}/a`, '/wxapi/ /a']
    ],
    '400 bad_header': [`http://other.example/wxapi/${APPID}/a`],
    '404 not_found': [
      ...[`/wxapi%2F${APPID}/a`, `/wxapi/${APPID}%2Fa`, `/WXAPI/${APPID}/a`, `/wxapi;x/${APPID}/a`],
      ...['/wxapi', '/wxapi/', `/wxapi/${APPID}`, `/wxapi/${APPID}/`, `/wxapi/${APPID}?a=b`]
    ]
  }
  for (const [expected, paths] of Object.entries(spellings))
    for (const path of paths) {
      const head = `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer ${SERVICE_TOKEN}\r\n\r\n`
      const answer = await gateway.raw(head, { port: gateway.servicePort })
      const { status, code } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))
      t.equal(`${status} ${code}`, expected, path)
    }
  t.same(gateway.sandbox.state.calls.counts().total, 0)
  t.equal((await call(gateway, '/a', { headers: { 'content-type': ';;;' }, method: 'POST', body: 'x' })).status, 200)
})

test('neighbours of a credential path are open', async (t) => {
  for (const path of ['/cgi-bin/tokens', '/cgi-bin/token_x', '/snsx', '/wxa/business/getuserphonenumber', '/x/sns/y']) {
    t.equal(judgePath(path, 0), 'plain', path)
  }
})

test('a rejected access token is replaced and the call repeated, once', async (t) => {
  const gateway = await build(t)
  const body = JSON.stringify({ a: 'x'.repeat(100_000) })
  const { accessTokens, faults } = gateway.sandbox.state
  for (const spoil of [accessTokens.expire, accessTokens.kill]) {
    t.match(await (await call(gateway, '/wxa/call', { method: 'POST', body })).json(), { errcode: 0 })
    spoil(APPID)
    const again = (await (await call(gateway, '/wxa/call', { method: 'POST', body })).json()) as Echo
    t.match(again, { errcode: 0, echo: { body_sha256: sha256(body) } })
    spoil(APPID)
    t.match(await (await call(gateway, '/wxa/call')).json(), { errcode: 0 }, 'without a body')
  }
  for (const errcode of [40001, 40014, 42001]) {
    faults.add({ path: '/wxa/one', fault: { kind: 'errcode', errcode }, appId: null, times: 1, skip: 0, after: false })
    t.match(await (await call(gateway, '/wxa/one')).json(), { errcode: 0 }, String(errcode))
  }
  const always = { times: Number.POSITIVE_INFINITY, skip: 0, after: false, appId: null }
  faults.add({ path: '/wxa/never', fault: { kind: 'errcode', errcode: 40001 }, ...always })
  t.match(await (await call(gateway, '/wxa/never')).json(), { errcode: 40001 })
  t.equal(callsOf(gateway, '/wxa/never'), 2)
  faults.add({ path: '/wxa/busy', fault: { kind: 'errcode', errcode: -1 }, ...always })
  t.match(await (await call(gateway, '/wxa/busy')).json(), { errcode: -1 }, 'other refusals are passed on')
  t.equal(callsOf(gateway, '/wxa/busy'), 1)
})

test('a body is sent again after a rejected token', async (t) => {
  const gateway = await build(t)
  const { accessTokens } = gateway.sandbox.state
  const json = (size: number) => JSON.stringify({ a: 'x'.repeat(size) })
  const chunked = (text: string) =>
    new ReadableStream({
      start(controller) {
        for (let at = 0; at < text.length; at += 50_000) controller.enqueue(Buffer.from(text.slice(at, at + 50_000)))
        controller.close()
      }
    })
  const send = async (body: Body, type: string) => {
    const headers = type === '' ? {} : { 'content-type': type }
    const init = { method: 'POST', body, headers, duplex: 'half' } as RequestInit
    return (await (await call(gateway, '/wxa/call', init)).json()) as Echo
  }
  await send('{}', 'application/json')
  const again: [() => Body, string, string][] = [
    [() => chunked(json(300_000)), 'application/json', json(300_000)],
    [() => chunked(json(2_000_000)), 'application/json', json(2_000_000)],
    [() => json(2_000_000), 'application/json', json(2_000_000)],
    [() => chunked('plain=form'), 'application/x-www-form-urlencoded', 'plain=form'],
    [() => json(1_000_000), 'application/x-www-form-urlencoded', json(1_000_000)],
    [() => Buffer.from('{"a":1}'), '', '{"a":1}'],
    [() => Buffer.from('bytes'), 'application/octet-stream', 'bytes']
  ]
  for (const [body, type, text] of again) {
    accessTokens.expire(APPID)
    t.match(await send(body(), type), { errcode: 0, echo: { body_sha256: sha256(text) } }, type)
  }
})
