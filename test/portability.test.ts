/** Backends written for another gateway or for none work behind this one. */
import { createServer, type Server } from 'node:http'
import { test } from 'tap'
import { createCloudRunBackend } from '../examples/migrate/cloudrun.ts'
import { createCart, createOwnLogin, requireGatewayUser } from '../examples/migrate/express.ts'
import { createWaferBackend } from '../examples/migrate/wafer.ts'
import { createTestClock } from './support/clock.ts'
import { configText, problems } from './support/config.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID } from './support/gateway.ts'
import { listen, type Teardown } from './support/listen.ts'
import { startUpstream } from './support/upstream.ts'

const APPS = [
  { appid: APPID, name: 'shop', secret: APP_SECRET },
  { appid: OTHER_APPID, name: 'other', secret: `${APP_SECRET}-2` }
]

const start = async (t: Teardown, server: Server) => `http://127.0.0.1:${await listen(t, server)}`

test('a backend written for WeChat Cloud Run runs unchanged, for users of its own app and of a sharing one', async (t) => {
  const url = await start(t, createCloudRunBackend())
  const gateway = await buildTestGateway(t, url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1/32'], drain: { delay: '10ms', timeout: '2s' } },
      apps: APPS,
      routes: [{ path: '/api', upstream: 'app', identity: { headers: 'cloudrun', env: 'prod-1a2b3c', app: APPID } }]
    }
  })
  const owner = await gateway.login('alice', APPID)
  const sharer = await gateway.login('alice', OTHER_APPID)
  const post = async (token: string, body: string) =>
    (await (
      await gateway.call('/api/notes', {
        method: 'POST',
        token,
        body,
        headers: { 'x-forwarded-for': '203.0.113.9', 'x-original-forwarded-for': '198.51.100.1' }
      })
    ).json()) as Record<string, unknown>
  const own = await post(owner.access_token, 'tea')
  t.match(own, { appid: APPID, env: 'prod-1a2b3c', ip: '203.0.113.9', notes: ['tea'], openid: /^o/, unionid: /^u/ })
  const shared = await post(sharer.access_token, 'cup')
  t.match(shared, { appid: OTHER_APPID, env: 'prod-1a2b3c', notes: ['cup'], openid: /^o/, unionid: own.unionid })
  t.not(shared.openid, own.openid)
})

test('each route sends the names of its own style and no others, whatever a client sends', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      apps: APPS,
      routes: [
        { path: '/run', upstream: 'app', auth: 'optional', identity: { headers: 'cloudrun', env: 'prod', app: APPID } },
        { path: '/plain-run', upstream: 'app', auth: 'optional', identity: { headers: 'cloudrun' } },
        { path: '/wafer', upstream: 'app', auth: 'optional', identity: { headers: 'wafer' } },
        { path: '/own', upstream: 'app', auth: 'optional' }
      ]
    }
  })
  const forged = Object.fromEntries(
    'openid appid unionid env source from-openid from-appid from-unionid id skey code iv encrypted-data cloudbase-access-token'
      .split(' ')
      .flatMap((name) => [`x-wx-${name}`, `x_wx_${name.replaceAll('-', '_')}`, `X.WX.${name}`])
      .concat('x-original-forwarded-for', 'x-openid')
      .map((name) => [name, 'FORGED'])
  )
  const { access_token: token } = await gateway.login('alice', OTHER_APPID)
  const ask = async (path: string, credential?: string) => {
    await gateway.call(path, { headers: forged, ...(credential === undefined ? {} : { token: credential }) })
    const { headers = {} } = upstream.seen.at(-1) ?? {}
    t.notMatch(JSON.stringify(headers), /FORGED/, path)
    return Object.keys(headers)
      .filter((name) => /^x-(?:wx-|openid|original-)/.test(name))
      .sort()
      .join(' ')
  }
  t.equal(
    await ask('/run', token),
    'x-original-forwarded-for x-wx-appid x-wx-env x-wx-from-appid x-wx-from-openid x-wx-from-unionid x-wx-source'
  )
  t.equal(
    await ask('/plain-run', token),
    'x-original-forwarded-for x-wx-appid x-wx-openid x-wx-source x-wx-unionid',
    'without an owner every app counts as the owner'
  )
  t.equal(await ask('/wafer', token), 'x-wx-id x-wx-skey')
  t.equal(await ask('/own', token), 'x-openid')
  t.equal(await ask('/run'), 'x-original-forwarded-for', 'X-WX-SOURCE proves a user')
  for (const path of ['/wafer', '/own']) t.equal(await ask(path), '', path)
})

test('a backend on the wafer SDK runs unchanged, with the gateway as its session server', async (t) => {
  const clock = createTestClock()
  const settings = { authServerUrl: '' }
  const backend = createWaferBackend(settings)
  const seen: string[][] = []
  backend.prependListener('request', (req) =>
    seen.push([String(req.headers['x-wx-id']), String(req.headers['x-wx-skey'])])
  )
  const gateway = await buildTestGateway(t, await start(t, backend), {
    clock,
    config: { routes: [{ path: '/weapp', upstream: 'app', identity: { headers: 'wafer' } }] }
  })
  settings.authServerUrl = `${gateway.serviceUrl}/mina_auth/`
  const check = async (id: unknown, skey: unknown, interfaceName = 'qcloud.cam.auth') => {
    const body = JSON.stringify({ version: 1, componentName: 'MA', interface: { interfaceName, para: { id, skey } } })
    const answer = await gateway.service('/mina_auth/', { method: 'POST', body })
    return { status: answer.status, ...((await answer.json()) as object) }
  }
  const alice = await gateway.login('alice')
  const answer = (await (await gateway.call('/weapp/user', { token: alice.access_token })).json()) as object
  t.match(answer, { code: 0, data: { userInfo: { openId: /^o/, unionId: /^u/, watermark: { appid: APPID } } } })
  const [id = '', skey = ''] = seen[0] ?? []
  t.ok(skey.length > 100 && !skey.includes(gateway.sandbox.state.people.person(APPID, 'alice').openId))

  const bob = await gateway.login('bob')
  await gateway.call('/weapp/user', { token: bob.access_token })
  const [otherId = ''] = seen[1] ?? []
  const refused = { status: 200, returnCode: 60012 }
  t.match(await check(otherId, skey), refused, 'the proof belongs to one session')
  t.match(await check(id, `${skey.slice(0, -2)}AA`), refused)
  t.match(await check(id, alice.access_token), refused, 'an access token is no proof')
  t.match(await check(id, skey, 'qcloud.cam.id_skey'), { status: 200, returnCode: 1010 }, 'the gateway logs users in')
  t.match(await check(undefined, skey), { status: 200, returnCode: 1003 })
  t.match(await check(id, skey), { status: 200, returnCode: 0 })
  clock.advance(2 * 3_600_000 + 61_000)
  t.match(await check(id, skey), refused, 'it ends with the access token')

  const again = await gateway.login('alice')
  await gateway.call('/weapp/user', { token: again.access_token })
  const [newId = '', newSkey = ''] = seen[2] ?? []
  t.match(await check(newId, newSkey), { returnCode: 0 })
  await gateway.call('/auth/logout', { method: 'POST', token: again.access_token, body: '{}' })
  t.match(await check(newId, newSkey), refused, 'a logout ends it')
})

test('business code with a login of its own gives the same answers once the gateway does the login', async (t) => {
  const cart = createCart()
  const own = createOwnLogin(async (code) => ({ openid: `openid-of-${code}` }))
  const before = await start(
    t,
    createServer((req, res) => {
      if (req.url?.startsWith('/login')) own.login(req, res, () => {})
      else own.requireUser(req, res, () => cart(req, res, () => {}))
    })
  )
  const { token } = (await (await fetch(`${before}/login?code=alice`)).json()) as { token: string }
  const headers = { 'x-token': token }
  t.match(await (await fetch(`${before}/cart`, { method: 'POST', headers })).json(), { items: 1 })
  t.equal((await fetch(`${before}/cart`)).status, 401)

  const after = await start(
    t,
    createServer((req, res) => requireGatewayUser(req, res, () => cart(req, res, () => {})))
  )
  const gateway = await buildTestGateway(t, after)
  const login = await gateway.login('alice')
  const call = (method: string) => gateway.call('/api/cart', { method, token: login.access_token })
  t.match(await (await call('POST')).json(), { items: 1, openid: /^o/ })
  t.match(await (await call('POST')).json(), { items: 2 })
  t.equal((await gateway.call('/api/cart')).status, 401)
})

test('settings of one style are refused with another, and an owner must be a configured app', (t) => {
  const identity = (text: string) =>
    problems(configText({ routes: `[{ path: /api, upstream: orders, identity: ${text} }]` }))
  t.same(identity('{ headers: cloudrun, env: prod-1, app: wx1234567890abcdef }'), [])
  t.match(identity('{ env: prod-1 }'), [/identity\.env: .*cloudrun only/])
  t.match(identity('{ headers: wafer, app: wx1234567890abcdef }'), [/identity\.app: .*cloudrun only/])
  t.match(identity('{ headers: cloudrun, app: wx1234567890abcdee }'), [/identity\.app: there is no app/])
  t.match(identity('{ headers: cloudrun, env: "a b" }'), [/identity\.env: .*environment/])
  t.end()
})
