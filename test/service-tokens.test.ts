import { test } from 'tap'
import { loadConfig } from '../src/config/load.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  defaultConfig,
  OTHER_APPID,
  SERVICE_TOKEN,
  type TestGateway
} from './support/gateway.ts'

const APPS = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
const SHOP_ONLY = 'shop-only-token-0123456789'
const CHECKS_ONLY = 'checks-only-token-0123456789'
const SCOPES = ['session', 'wxapi', 'admin']
const TOKENS = [
  { name: 'all', token: SERVICE_TOKEN, scopes: SCOPES },
  { name: 'shop', token: SHOP_ONLY, scopes: SCOPES, apps: [APPID] },
  { name: 'checks', token: CHECKS_ONLY, scopes: ['wxapi'], wxapi: ['/wxa/msg_sec_check', '/cgi-bin/message'] }
]

async function build(t: Parameters<typeof buildTestGateway>[0]): Promise<TestGateway> {
  const service = { host: '127.0.0.1', port: 2, tokens: TOKENS }
  return buildTestGateway(t, 'http://127.0.0.1:9', { config: { apps: APPS, service } })
}

const sessionOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }).sid

test('a token with apps covers these apps and no other', async (t) => {
  const gateway = await build(t)
  const users = new Map<string, { openid: string; sid: string }>()
  for (const appid of [APPID, OTHER_APPID]) {
    const { access_token: token } = await gateway.login('alice', appid)
    users.set(appid, { openid: gateway.sandbox.state.people.person(appid, 'alice').openId, sid: sessionOf(token) })
  }
  const call = async (method: string, path: string, token: string, body?: unknown) => {
    const init = { method, token, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    const response = await gateway.service(path, init)
    return { status: response.status, text: await response.text() }
  }
  for (const [appid, { openid, sid }] of users) {
    const isAllowed = appid === APPID
    const body = { appid, openid, body: 'x', encryptedData: 'x', iv: 'x' }
    const calls: [string, string, unknown, number][] = [
      ['POST', '/v1/sign', body, 200],
      ['POST', '/v1/check-session', body, 200],
      ['POST', '/v1/open-data', body, 409],
      ['POST', '/v1/reset-session', body, 200],
      ['GET', `/v1/users/${appid}/${openid}`, undefined, 200],
      ['GET', `/wxapi/${appid}/cgi-bin/getcallbackip`, undefined, 200],
      ['DELETE', `/v1/users/${appid}/${openid}/sessions`, undefined, 204]
    ]
    for (const [method, path, sent, status] of calls) {
      const answer = await call(method, path, SHOP_ONLY, sent)
      t.equal(answer.status, isAllowed ? status : 403, `${method} ${path}`)
      if (!isAllowed) t.match(JSON.parse(answer.text), { code: 'forbidden' })
    }
    if (isAllowed) continue
    const kick = await call('DELETE', `/v1/sessions/${sid}`, SHOP_ONLY)
    t.match(JSON.parse(kick.text), { status: 404, code: 'not_found' }, 'a session of another app is not found')
    t.equal((await call('DELETE', `/v1/sessions/${sid}`, SERVICE_TOKEN)).status, 204)
  }
  const unknown = await call('GET', '/v1/users/wx0000000000000000/oSomebody', SHOP_ONLY)
  t.match(JSON.parse(unknown.text), { status: 400, code: 'invalid_request' })
})

test('a token with wxapi calls these paths and the paths below them, and no other', async (t) => {
  const gateway = await build(t)
  const call = async (path: string) =>
    (await gateway.service(`/wxapi/${APPID}${path}`, { method: 'POST', token: CHECKS_ONLY })).status
  for (const path of ['/wxa/msg_sec_check', '/wxa/msg_sec_check/x', '/cgi-bin/message/subscribe/send'])
    t.equal(await call(path), 200, path)
  for (const path of [
    '/wxa/msg_sec_checks',
    '/wxa/msg_sec',
    '/wxa',
    '/WXA/msg_sec_check',
    '/x/wxa/msg_sec_check',
    '/cgi-bin/messages',
    '/wxa/getwxacodeunlimit'
  ])
    t.equal(await call(path), 403, path)
})

test('forward-auth with apps accepts the tokens of these apps and no other', async (t) => {
  const gateway = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const ask = async (query: string) => (await gateway.service(`/auth/verify${query}`, { token })).status
  const accepted = [
    '',
    '?',
    `?apps=${APPID}`,
    `?apps=${OTHER_APPID},${APPID}`,
    `?a=b&apps=${APPID}`,
    `?%61pps=${APPID}`,
    '?app=x',
    `/below?apps=${OTHER_APPID}`
  ]
  for (const query of accepted) t.equal(await ask(query), 204, query)
  const refused = [
    '?apps',
    '?apps=',
    `?apps=${OTHER_APPID}`,
    `?apps=${APPID.toUpperCase()}`,
    `?apps=${APPID}x`,
    `?apps=${APPID}&apps=${OTHER_APPID}`,
    `?apps=${OTHER_APPID}&apps=${APPID}`
  ]
  for (const query of refused) {
    const response = await gateway.service(`/auth/verify${query}`, { token })
    t.match(await response.json(), { status: 403, code: 'app_not_allowed' }, query)
  }
  t.equal((await gateway.service(`/auth/verify?apps=${APPID}`)).status, 401, 'without a token')
})

test('a list that narrows a token names configured apps and canonical paths', async (t) => {
  const read = (token: Record<string, unknown>) => {
    const tokens = [{ name: 'a', token: SERVICE_TOKEN, scopes: ['wxapi'], ...token }]
    const config = { ...defaultConfig('http://127.0.0.1:9'), service: { port: 2, tokens } }
    const loaded = loadConfig({
      file: 'gateway.yaml',
      text: JSON.stringify(config),
      env: {},
      production: false,
      allow: new Set()
    })
    return loaded.ok ? [] : loaded.problems.map(({ path, message }) => `${path}: ${message}`)
  }
  t.same(read({ apps: [APPID], wxapi: ['/wxa', '/cgi-bin/message/subscribe/send'] }), [])
  t.match(read({ apps: ['wx0000000000000000'] }), [/^service\.tokens\[0\]\.apps\[0\]: there is no app/])
  for (const path of ['wxa', '/wxa/', '/wxa/*', '/a/../b', '/a%2Fb', '/a?b'])
    t.match(read({ wxapi: [path] }), [/^service\.tokens\[0\]\.wxapi\[0\]: /], path)
  t.match(read({ scopes: ['session'], wxapi: ['/wxa'] }), [/^service\.tokens\[0\]\.wxapi: has no effect/])
})
