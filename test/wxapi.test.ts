import { createHash, randomBytes } from 'node:crypto'
import { type RequestListener, request, type ServerResponse } from 'node:http'
import { test } from 'tap'
import { judgePath, withAccessToken } from '../src/platforms/wechat/egress-paths.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  SERVICE_TOKEN,
  type TestGateway,
  type TestGatewayOptions
} from './support/gateway.ts'
import { startServer, type Teardown } from './support/listen.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

type Body = NonNullable<RequestInit['body']>

const APPS = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
const TOKEN_CALL = '/cgi-bin/stable_token'

async function build(t: Teardown, options: TestGatewayOptions = {}) {
  return buildTestGateway(t, (await startUpstream(t)).url, { ...options, config: { apps: APPS, ...options.config } })
}

function call(gateway: TestGateway, path: string, init: RequestInit = {}, appid = APPID) {
  return gateway.service(`/wxapi/${appid}${path}`, { token: SERVICE_TOKEN, ...init })
}

interface Echo {
  readonly errcode: number
  readonly echo: {
    method: string
    path: string
    query: Record<string, string>
    body_bytes: number
    body_sha256: string
  }
}

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')

const callsOf = (gateway: TestGateway, path: string) => gateway.sandbox.state.calls.counts().byPath[path] ?? 0

/** A server that replaces WeChat and answers by a function of the test. */
async function startWeChat(t: Teardown, handler: RequestListener) {
  return startServer(t, (req, res) => {
    if (req.url?.startsWith(TOKEN_CALL)) {
      req.resume()
      res.end(JSON.stringify({ access_token: 'canary-access-token', expires_in: 7200 }))
    } else handler(req, res)
  })
}

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

test('a body is sent again after a rejected token, unless its Content-Length is more than 1 MiB; then the next call is fine', async (t) => {
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
    [() => chunked('plain=form'), 'application/x-www-form-urlencoded', 'plain=form'],
    [() => json(1_000_000), 'application/x-www-form-urlencoded', json(1_000_000)],
    [() => Buffer.from('{"a":1}'), '', '{"a":1}'],
    [() => Buffer.from('bytes'), 'application/octet-stream', 'bytes']
  ]
  for (const [body, type, text] of again) {
    accessTokens.expire(APPID)
    t.match(await send(body(), type), { errcode: 0, echo: { body_sha256: sha256(text) } }, type)
  }
  const once: [() => Body, string, string][] = [[() => json(2_000_000), 'application/json', json(2_000_000)]]
  for (const [body, type, text] of once) {
    accessTokens.expire(APPID)
    t.match(await send(body(), type), { errcode: 42001 })
    t.match(await send(body(), type), { errcode: 0, echo: { body_sha256: sha256(text) } })
  }
})

test('uploads pass unchanged', async (t) => {
  let seen = { type: '', length: '', body: Buffer.alloc(0) }
  const apiBase = await startWeChat(t, (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const { 'content-type': type = '', 'content-length': length = '' } = req.headers
      seen = { type, length, body: Buffer.concat(chunks) }
      res.end('{"errcode":0}')
    })
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const file = randomBytes(3_000_000)
  const form = new FormData()
  form.set('media', new Blob([file]), 'photo.png')
  const encoded = new Request('http://x', { method: 'POST', body: form })
  const type = encoded.headers.get('content-type') ?? ''
  const bytes = Buffer.from(await encoded.arrayBuffer())
  const response = await call(gateway, '/wxa/img_sec_check', {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': type }
  })
  t.equal(response.status, 200)
  t.equal(seen.type, type)
  t.equal(seen.length, String(bytes.length))
  t.ok(seen.body.equals(bytes))
})

test('binary answers and streams come back unchanged, without buffering', async (t) => {
  const image = randomBytes(1_000_000)
  let finish = () => {}
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    if (req.url?.startsWith('/image')) res.writeHead(200, { 'content-type': 'image/jpeg' }).end(image)
    else if (req.url?.startsWith('/stream')) {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('data: one\n\n')
      finish = () => res.end('data: two\n\n')
    } else if (req.url?.startsWith('/json')) res.end(`{"errcode":0,"list":"${'x'.repeat(500_000)}"}`)
    else res.writeHead(204).end()
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const picture = await call(gateway, '/image')
  t.equal(picture.headers.get('content-type'), 'image/jpeg')
  t.ok(Buffer.from(await picture.arrayBuffer()).equals(image))
  t.equal((await (await call(gateway, '/json')).text()).length, 500_023)
  t.equal((await call(gateway, '/nothing')).status, 204)
  const reader = (await call(gateway, '/stream')).body?.getReader()
  t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'data: one\n\n')
  finish()
  t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'data: two\n\n')
  await reader?.cancel()
})

test('no header of the gateway goes to WeChat; no cookie and no token come back', async (t) => {
  let seen: Record<string, unknown> = {}
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    seen = req.headers
    res.writeHead(302, {
      'set-cookie': 'a=b',
      'x-openid': 'forged',
      'strict-transport-security': 'max-age=1',
      location: `https://elsewhere${req.url}`,
      'x-kept': 'yes'
    })
    res.end('moved')
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const headers = {
    cookie: 'session=1',
    'x-openid': 'oVictim',
    'x-internal-secret': 'x',
    'x-forwarded-for': '1.2.3.4',
    traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
    'accept-encoding': 'gzip',
    'user-agent': 'orders/1',
    'wechatmp-signature': 'kept'
  }
  const response = await call(gateway, '/a', { headers })
  t.same(Object.keys(seen).sort(), [
    'accept',
    'accept-language',
    'connection',
    'host',
    'user-agent',
    'wechatmp-signature'
  ])
  t.equal(response.status, 302)
  t.equal(response.headers.get('x-kept'), 'yes')
  for (const name of ['set-cookie', 'x-openid', 'strict-transport-security', 'location'])
    t.notOk(response.headers.has(name), name)
  t.notOk(gateway.lines.join('').includes('canary-access-token'))
})

test("WeChat's failures are reported by the gateway", async (t) => {
  const gateway = await build(t, { config: { wechat: { apiBase: 'sandbox', timeout: '300ms' } } })
  const fault = (kind: 'hang' | 'reset' | 'garbage') =>
    gateway.sandbox.state.faults.add({
      path: '/wxa/call',
      fault: { kind },
      appId: null,
      times: 1,
      skip: 0,
      after: false
    })
  for (const kind of ['hang', 'reset', 'garbage'] as const) {
    fault(kind)
    t.match(
      await (await call(gateway, '/wxa/call')).json(),
      { status: 503, code: 'wechat_unavailable', action: 'retry' },
      kind
    )
  }
  gateway.sandbox.state.faults.add({
    path: TOKEN_CALL,
    fault: { kind: 'errcode', errcode: 40125 },
    appId: null,
    times: 1,
    skip: 0,
    after: false
  })
  const other = await call(gateway, '/wxa/call', {}, OTHER_APPID)
  t.match(await other.json(), { status: 502, code: 'wechat_misconfigured' })
})

test('a slow answer is passed on, and not waited for without end', async (t) => {
  const apiBase = await startWeChat(t, (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' })
    res.write('{"errcode":0')
    const trickle = setInterval(() => res.write(' '), 50)
    res.on('close', () => clearInterval(trickle))
  })
  const gateway = await build(t, { config: { wechat: { apiBase, timeout: '200ms' } }, sandbox: {} as never })
  const leaving = new AbortController()
  const response = await call(gateway, '/a', { signal: AbortSignal.any([leaving.signal, AbortSignal.timeout(3_000)]) })
  t.equal(response.status, 200)
  leaving.abort()
})

test('half an answer never looks complete', async (t) => {
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    res.writeHead(200, { 'content-type': 'image/png' })
    res.write(randomBytes(20_000))
    setTimeout(() => res.destroy(), 30)
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  await t.rejects(async () => (await call(gateway, '/image')).arrayBuffer())
})

test('a backend that disconnects ends the call to WeChat', async (t) => {
  let [asked, ended] = [0, 0]
  const apiBase = await startWeChat(t, (_req, res) => {
    asked++
    res.on('close', () => ended++)
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const leaving = request(`${gateway.serviceUrl}/wxapi/${APPID}/a`, {
    headers: { authorization: `Bearer ${SERVICE_TOKEN}` }
  })
  leaving.on('error', () => {})
  leaving.end()
  await until(() => asked === 1)
  leaving.destroy()
  await until(() => ended === 1)
  t.pass()
})

test('a backend that ends its connection inside a body gets 400, and WeChat is not called', async (t) => {
  const gateway = await build(t)
  const leaving = request(`${gateway.serviceUrl}/wxapi/${APPID}/a`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SERVICE_TOKEN}`, 'content-length': '100' }
  })
  leaving.on('error', () => {})
  leaving.write('half', () => setTimeout(() => leaving.destroy(), 100))
  const audit = () => gateway.lines.find((line) => line.includes('service_call')) ?? '{}'
  await until(() => audit() !== '{}')
  t.match(JSON.parse(audit()), { caller: 'test', path: '/a', status: 400, result: 'invalid_request' })
  t.notMatch(gateway.lines.join(''), /unexpected error/)
  t.equal(gateway.sandbox.state.calls.list('/a').length, 0)
})

test('a gateway that ends finishes running calls, for drain.timeout at most', async (t) => {
  const answers = new Map<string, ServerResponse>()
  const apiBase = await startWeChat(t, (req, res) => void answers.set(req.url?.split('?')[0] ?? '', res))
  const server = { host: '127.0.0.1', port: 1, drain: { delay: '1ms', timeout: '2s' } }
  const config = { server, wechat: { apiBase } }
  const gateway = await build(t, { config, sandbox: {} as never })
  const finished = call(gateway, '/a')
  const cut = call(gateway, '/b').catch(() => 'cut')
  await until(() => answers.size === 2)
  const drained = gateway.gateway.drain()
  answers.get('/a')?.end('{"errcode":0}')
  t.equal((await finished).status, 200)
  t.equal(await cut, 'cut')
  await drained
})

test('a running call outlives a reload', async (t) => {
  let answering: ServerResponse | undefined
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    if (answering) return void res.end()
    answering = res
    res.writeHead(200, { 'content-type': 'image/png' })
    res.write('first ')
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const response = await call(gateway, '/image')
  await gateway.gateway.reload({ ...gateway.config, tokens: { ...gateway.config.tokens, accessTtl: 3_600_000 } })
  answering?.end('second')
  t.equal(await response.text(), 'first second')
  t.equal((await call(gateway, '/image')).status, 200)
})
