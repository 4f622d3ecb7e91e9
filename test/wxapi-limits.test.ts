/** Calls of backends to WeChat's API: who may make how many, with which credentials, and what is
 *  seen of them. */
import type { ServerResponse } from 'node:http'
import { type Test, test } from 'tap'
import { createTokenMask } from '../src/platforms/wechat/token-mask.ts'
import { build, call, callsOf, type Echo, startWeChat, TOKEN_CALL } from './support/egress.ts'
import { APP_SECRET, APPID, OTHER_APPID, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'
import { until } from './support/until.ts'

const OTHER_TOKEN = 'canary-of-another-backend'

interface Limits {
  readonly own?: object
  readonly app?: object
  readonly wechat?: object
}

/** Two backends, the first one with a limit, and two apps. */
async function buildTwo(t: Test, { own, app, wechat }: Limits = {}) {
  const tokens = [
    { name: 'greedy', token: SERVICE_TOKEN, scopes: ['wxapi'], ...(own ? { wxapiLimit: own } : {}) },
    { name: 'modest', token: OTHER_TOKEN, scopes: ['wxapi'] }
  ]
  const apps = [APPID, OTHER_APPID].map((appid) => ({
    appid,
    secret: APP_SECRET,
    ...(app ? { wxapiLimit: app } : {})
  }))
  const service = { host: '127.0.0.1', port: 2, tokens }
  return build(t, {
    config: { service, apps, ...(wechat ? { wechat } : {}) },
    ...(wechat ? { sandbox: {} as never } : {})
  })
}

const as = (token: string) => ({ token })
const problemOf = async (response: Response) => (await response.json()) as Record<string, unknown>

async function metric(gateway: TestGateway, line: string): Promise<string | undefined> {
  const text = await (await gateway.service('/metrics')).text()
  return text.split('\n').find((one) => one.startsWith(line))
}

test('200 parallel calls on a cold token make one token request', async (t) => {
  const gateway = await build(t)
  const statuses = await Promise.all(
    Array.from({ length: 200 }, async () => (await (await call(gateway, '/wxa/call')).json()) as Echo)
  )
  t.same(
    statuses.filter(({ errcode }) => errcode !== 0),
    []
  )
  t.equal(callsOf(gateway, TOKEN_CALL), 1)
  t.equal(callsOf(gateway, '/wxa/call'), 200)
})

test('a backend at its concurrency gets 503, another one and another app do not; a call that ends makes room', async (t) => {
  const open: ServerResponse[] = []
  const apiBase = await startWeChat(
    t,
    (req, res) => void (req.url?.startsWith('/quick') ? res.end('{}') : open.push(res))
  )
  const gateway = await buildTwo(t, { own: { concurrency: 2 }, wechat: { apiBase } })
  const leaving = new AbortController()
  const [first, second] = [call(gateway, '/a'), call(gateway, '/a', { signal: leaving.signal }).catch(() => 'left')]
  await until(() => open.length === 2)
  t.match(await problemOf(await call(gateway, '/a')), { status: 503, code: 'overloaded', action: 'retry' })
  t.equal((await call(gateway, '/quick', as(OTHER_TOKEN))).status, 200)
  t.equal((await call(gateway, '/quick', {}, OTHER_APPID)).status, 200)
  leaving.abort()
  t.equal(await second, 'left')
  await until(async () => (await call(gateway, '/quick')).status === 200)
  const third = call(gateway, '/a')
  await until(() => open.length === 3)
  t.equal((await call(gateway, '/quick')).status, 503)
  for (const res of open) res.end('{"errcode":0}')
  for (const one of [first, third]) t.equal((await one).status, 200)
  await until(async () => (await call(gateway, '/quick')).status === 200)
})

test('the concurrency of an app counts all backends', async (t) => {
  const open: ServerResponse[] = []
  const apiBase = await startWeChat(t, (_req, res) => void open.push(res))
  const gateway = await buildTwo(t, { app: { concurrency: 1 }, wechat: { apiBase } })
  const first = call(gateway, '/a')
  await until(() => open.length === 1)
  t.match(await problemOf(await call(gateway, '/a', as(OTHER_TOKEN))), { status: 503, code: 'overloaded' })
  open[0]?.end('{"errcode":0}')
  t.equal((await first).status, 200)
})

test('a backend beyond its rate gets 429, which costs the others nothing', async (t) => {
  const window = '1h'
  const gateway = await buildTwo(t, { own: { rateLimit: { max: 2, window } }, app: { rateLimit: { max: 4, window } } })
  for (let count = 0; count < 2; count++) t.equal((await call(gateway, '/a')).status, 200)
  for (let count = 0; count < 3; count++) {
    const refused = await call(gateway, '/a')
    t.ok(Number(refused.headers.get('retry-after')) > 0)
    t.match(await problemOf(refused), { status: 429, code: 'rate_limited', action: 'retry' })
  }
  t.equal((await call(gateway, '/a', {}, OTHER_APPID)).status, 200, 'each app has its own count')
  for (let count = 0; count < 2; count++) t.equal((await call(gateway, '/a', as(OTHER_TOKEN))).status, 200)
  t.equal((await call(gateway, '/a', as(OTHER_TOKEN))).status, 429, 'the app has reached its limit')
  t.equal(
    await metric(gateway, `wxgate_wxapi_calls_total{app="${APPID}",caller="greedy",result="limited"}`),
    `wxgate_wxapi_calls_total{app="${APPID}",caller="greedy",result="limited"} 3`
  )
})

test('a body of 20 MiB passes with its length, a larger one is 413, whether or not its length is sent', async (t) => {
  const gateway = await build(t)
  const MAX = 20 * 1024 * 1024
  const send = (size: number, isChunked: boolean) => {
    const bytes = Buffer.alloc(size, 'x')
    const body = isChunked ? new Blob([bytes]).stream() : bytes
    return call(gateway, '/wxa/upload', { method: 'POST', body, duplex: 'half' } as RequestInit)
  }
  for (const isChunked of [false, true]) {
    t.match(await (await send(MAX, isChunked)).json(), { errcode: 0, echo: { body_bytes: MAX } })
    t.match(await problemOf(await send(MAX + 1, isChunked)), { status: 413, code: 'body_too_large' })
  }
  t.equal(callsOf(gateway, '/wxa/upload'), 2)
})

test('an access token that a server repeats is masked in head and body', async (t) => {
  const TOKEN = 'canary-access-token'
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    if (req.url?.startsWith('/redirect')) {
      res.writeHead(302, { location: `/x${req.url}`, link: `<${req.url}>` }).end(`<a href="${req.url}">moved</a>`)
    } else if (req.url?.startsWith('/json')) res.end(JSON.stringify({ errcode: 40097, errmsg: `bad ${req.url}` }))
    else {
      const text = `${'x'.repeat(70_000)}${TOKEN}${'y'.repeat(70_000)}`
      res.writeHead(200, { 'content-type': 'image/png', 'content-length': text.length })
      res.write(text.slice(0, 70_008))
      setTimeout(() => res.end(text.slice(70_008)), 20)
    }
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  for (const path of ['/redirect', '/json', '/image']) {
    const response = await call(gateway, path)
    const text = await response.text()
    t.notMatch(text + JSON.stringify([...response.headers]), TOKEN, path)
    t.match(text, '*'.repeat(TOKEN.length), path)
  }
  t.notMatch(gateway.lines.join(''), TOKEN)
  t.equal(createTokenMask('a/b').isIn('x=a%2Fb'), true, 'encoded too')
})

test("name and token of a caller pass as user and password, on WeChat's API only", async (t) => {
  const gateway = await buildTwo(t)
  const send = (authorization: string, path = `/wxapi/${APPID}/a`) =>
    gateway.service(path, { headers: { authorization } })
  const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  t.match(await (await send(basic('greedy', SERVICE_TOKEN))).json(), { errcode: 0 })
  const refused: readonly (readonly [string, string])[] = [
    ['of another name', basic('modest', SERVICE_TOKEN)],
    ['without a name', basic('', SERVICE_TOKEN)],
    ['with a wrong token', basic('greedy', 'wrong')],
    ['not base64', 'Basic ***'],
    ['without a colon', `Basic ${Buffer.from(SERVICE_TOKEN).toString('base64')}`]
  ]
  for (const [title, authorization] of refused)
    t.match(await problemOf(await send(authorization)), { status: 401, code: 'token_invalid' }, title)
  t.equal((await send(basic('greedy', SERVICE_TOKEN), '/v1/users/wx1/o123456')).status, 401)
})

test('from_appid chooses the mini-program of the call and does not reach WeChat', async (t) => {
  const gateway = await build(t)
  const query = `from_appid=${OTHER_APPID}`
  const answer = await call(gateway, `/a?x=1&${query}&y=2`)
  t.match(await answer.json(), { errcode: 0, echo: { query: { x: '1', y: '2', from_appid: undefined } } })
  t.match(answer.headers.get('x-openapi-seqid'), /^[\w-]{10,}$/)
  const [asked] = gateway.sandbox.state.calls.list(TOKEN_CALL)
  t.equal(asked?.params.appid, OTHER_APPID)
  t.match(await problemOf(await call(gateway, '/a?from_appid=wx0000000000000000')), { code: 'invalid_request' })
  const narrow = [{ name: 'narrow', token: SERVICE_TOKEN, scopes: ['wxapi'], apps: [APPID] }]
  const other = await build(t, { config: { service: { host: '127.0.0.1', port: 2, tokens: narrow } } })
  t.match(await problemOf(await call(other, `/a?${query}`)), { status: 403, code: 'forbidden' })
  t.equal((await call(other, '/a')).status, 200)
})

test('metrics count calls by caller and result, and known errcodes', async (t) => {
  const gateway = await build(t)
  const { faults } = gateway.sandbox.state
  const refuse = (path: string, errcode: number) =>
    faults.add({ path, fault: { kind: 'errcode', errcode }, appId: null, times: 1, skip: 0, after: false })
  const calls = (result: string) => `wxgate_wxapi_calls_total{app="${APPID}",caller="test",result="${result}"}`
  const errcodes = (errcode: string) => `wxgate_wxapi_errcodes_total{app="${APPID}",errcode="${errcode}"}`
  t.equal(await metric(gateway, calls('ok')), `${calls('ok')} 0`)
  t.equal(await metric(gateway, errcodes('45009')), `${errcodes('45009')} 0`)
  refuse('/b', 45009)
  refuse('/c', 123456)
  for (const path of ['/a', '/b', '/c', '/sns/jscode2session']) await (await call(gateway, path)).text()
  faults.add({ path: '/d', fault: { kind: 'reset' }, appId: null, times: 1, skip: 0, after: false })
  t.equal((await call(gateway, '/d')).status, 503)
  const expected = { ok: 1, refused: 2, failed: 1, limited: 0 }
  for (const [result, count] of Object.entries(expected))
    t.equal(await metric(gateway, calls(result)), `${calls(result)} ${count}`)
  t.equal(await metric(gateway, errcodes('45009')), `${errcodes('45009')} 1`)
  t.equal(await metric(gateway, errcodes('other')), `${errcodes('other')} 1`)
})
