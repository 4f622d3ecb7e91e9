import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { openApiDocuments } from '../scripts/openapi-documents.ts'
import { phoneNumberOf } from '../src/sandbox/people.ts'
import { APP_SECRET, APPID, buildTestGateway, SERVICE_TOKEN } from './support/gateway.ts'
import { createChecker, type Listener, operationsOf, readDocument } from './support/openapi.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from './support/push.ts'
import { startUpstream } from './support/upstream.ts'
import { sandboxOpenData } from './support/wechat-data.ts'

const LISTENERS: readonly Listener[] = ['edge', 'service']
const PROBLEM = 'application/problem+json'
const page = (name: string) => readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')

async function build(t: Parameters<typeof startUpstream>[0]) {
  const push = { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events' }
  const apps = [{ appid: APPID, secret: APP_SECRET, virtualPay: { appKey: 'canary-app-key' }, push }]
  const tokens = [
    { name: 'all', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'pay', 'admin'] },
    { name: 'none', token: 'pay-only-token-0123456789', scopes: ['pay'] }
  ]
  const service = { host: '127.0.0.1', port: 2, tokens }
  return buildTestGateway(t, (await startUpstream(t)).url, { config: { apps, service } })
}

test('docs/openapi holds the documents that a gateway serves', async (t) => {
  const documents = await openApiDocuments()
  for (const listener of LISTENERS)
    t.equal(documents[listener], page(`openapi/${listener}.json`), `${listener}: run npm run generate`)
})

test('every schema of an endpoint is a valid JSON Schema: a gateway interprets them without a check', async (t) => {
  for (const listener of LISTENERS) {
    const text = page(`openapi/${listener}.json`).replaceAll('"#/components', '"document#/components')
    const document = JSON.parse(text)
    const ajv = new Ajv2020({ strict: false })
    ajv.addSchema({ $id: 'document', components: document.components })
    const schemas: object[] = []
    const collect = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return
      for (const [name, value] of Object.entries(node)) {
        if (name === 'schema') schemas.push(value as object)
        else collect(value)
      }
    }
    collect(document.paths)
    t.ok(schemas.length > 40, `${schemas.length} schemas`)
    const texts = new Set(schemas.map((schema) => JSON.stringify(schema)))
    for (const text of texts) t.doesNotThrow(() => ajv.compile(JSON.parse(text)), text.slice(0, 80))
  }
})

test('schemas of requests are constants: a reload compiles none again', async (t) => {
  const instances: object[][] = []
  subscribe('fastify.initialization', (message) => {
    const { fastify: app } = message as { fastify: FastifyInstance }
    const schemas: object[] = []
    instances.push(schemas)
    app.addHook('onRoute', ({ schema }) => {
      for (const part of [schema?.body, schema?.params, schema?.querystring])
        if (typeof part === 'object' && part !== null) schemas.push(part)
    })
  })
  await build(t)
  const known = new Set(instances.splice(0).flat())
  t.ok(known.size > 15, `${known.size} schemas`)
  await build(t)
  const fresh = instances.flat().filter((schema) => !known.has(schema) && !('content' in schema))
  t.same(fresh, [])
})

test('every registered endpoint is in the document, and nothing else', async (t) => {
  const instances: { app: FastifyInstance; routes: string[] }[] = []
  subscribe('fastify.initialization', (message) => {
    const { fastify: app } = message as { fastify: FastifyInstance }
    const routes: string[] = []
    instances.push({ app, routes })
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat())
        if (one !== 'HEAD') routes.push(`${one} ${url.replace(/:(\w+)/g, '{$1}').replace('*', '{path}')}`)
    })
  })
  const gateway = await build(t)
  // Forward-auth accepts any method and path; the console has the calls of /v1 once more.
  const isHidden = /^\S+ (?:\/\{path\}|\/auth\/verify\/\{path\}|(?<!GET )\/auth\/verify|\/console(?:\/.*)?)$/
  for (const [listener, own] of [
    ['edge', 'POST /auth/login'],
    ['service', 'GET /openapi.json']
  ] as const) {
    const registered = instances.find(({ routes }) => routes.includes(own))?.routes ?? []
    const visible = registered.filter((name) => !isHidden.test(name))
    const described = operationsOf(await readDocument(gateway, listener)).map(([name]) => name)
    t.ok(visible.length > 5, listener)
    t.same(described.filter((name) => !name.startsWith('HEAD ')).sort(), visible.sort(), listener)
  }
})

test('every operation has its own name, and documents its purpose, needs and failures', async (t) => {
  const gateway = await build(t)
  for (const listener of LISTENERS) {
    const document = await readDocument(gateway, listener)
    const operations = operationsOf(document)
    const ids = operations.map(([, { operationId }]) => operationId)
    t.equal(new Set(ids).size, ids.length, 'operationIds')
    const schemes = Object.keys(document.components.securitySchemes)
    const used = new Set(operations.flatMap(([, { security }]) => security?.flatMap(Object.keys) ?? []))
    t.same([...used].sort(), schemes.sort(), 'security schemes')
    for (const [name, operation] of operations) {
      t.match(operation.operationId, /^[a-z][A-Za-z]+$/, name)
      t.ok(operation.summary && operation.description, name)
      t.equal(operation.tags?.length, 1, name)
      t.ok(
        document.tags.some((tag) => tag.name === operation.tags?.[0]),
        `${name}: ${operation.tags}`
      )
      const names = operation.parameters?.filter((parameter) => parameter.in === 'path').map(({ name }) => name) ?? []
      t.same(names.sort(), [...name.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]).sort(), name)
      t.ok(Array.isArray(operation.security), `${name}: security`)
      t.ok(operation.responses['400']?.content?.[PROBLEM], `${name} 400`)
      for (const [status, { content }] of Object.entries(operation.responses)) {
        // The pay API reads a form of its own.
        const isOther = name.endsWith('/readyz') || (name.includes('/wechat/pay/') && status === '503')
        if (Number(status) >= 400 && !isOther) t.same(Object.keys(content ?? {}), [PROBLEM], name)
      }
      if (operation.security?.length) t.ok(operation.responses['401']?.content?.[PROBLEM], `${name} 401`)
      if (/ \/(?:v1|wxapi)\//.test(name)) {
        t.match(operation.security, [{ [`${operation.tags?.[0]}Token`]: [] }], name)
        t.ok(operation.responses['403']?.content?.[PROBLEM], `${name} 403`)
      }
    }
  }
})

test('every answer of the edge matches its document', async (t) => {
  const gateway = await build(t)
  const { check, checked } = createChecker(await readDocument(gateway, 'edge'))
  const { access_token: token, refresh_token: refreshToken } = await gateway.login('alice')
  const { encryptedData, iv, rawData, signature } = await sandboxOpenData(gateway, 'alice')
  const mint = (name: string) => gateway.sandbox.state.codes.mint({ kind: 'phone', name, appId: APPID })
  const call = async (status: number, method: string, path: string, body?: unknown, credential?: string) => {
    const response = await gateway.call(path, {
      method,
      ...(credential === undefined ? {} : { token: credential }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const found = response.status
    t.equal(await check(method, path.replace(/\?.*/, ''), response), null, `${method} ${path} ${status}`)
    t.equal(found, status, `${method} ${path}`)
  }

  for (const path of ['/', '/livez', '/healthz', '/readyz', '/readyz?verbose', '/.well-known/jwks.json'])
    await call(200, 'GET', path)
  await call(200, 'POST', '/auth/login', { code: 'sandbox-bob' })
  await call(401, 'POST', '/auth/login', { code: 'no-such-code' })
  await call(200, 'POST', '/auth/refresh', { refresh_token: refreshToken })
  await call(401, 'POST', '/auth/refresh', { refresh_token: 'x' })
  await call(200, 'GET', '/auth/session', undefined, token)
  await call(200, 'GET', '/auth/session?check=true', undefined, token)
  await call(200, 'POST', '/auth/open-data', { encryptedData, iv }, token)
  await call(200, 'POST', '/auth/open-data', { rawData, signature }, token)
  await call(409, 'POST', '/auth/open-data', { encryptedData, iv: encryptedData.slice(0, 24) }, token)
  await call(200, 'POST', '/auth/phone', { code: mint('alice') }, token)
  const posts = ['/auth/login', '/auth/refresh', '/auth/open-data', '/auth/phone', '/auth/logout']
  for (const path of posts) {
    await call(400, 'POST', path, { all: 'yes' }, token)
    await call(413, 'POST', path, { code: 'x'.repeat(300_000) }, token)
  }
  for (const path of posts.slice(2)) for (const wrong of [undefined, 'x']) await call(401, 'POST', path, {}, wrong)
  await checkPush(async (status, method, path, body) => {
    const response = await gateway.call(path, { method, ...(body === undefined ? {} : { body }) })
    t.equal(response.status, status, `${method} ${path}`)
    t.equal(await check(method, '/wechat/push/{appid}', response), null, `${method} ${path} ${status}`)
  })
  const notice = await gateway.call(`/wechat/pay/notify/${APPID}`, { method: 'POST', body: '{}' })
  t.equal(notice.status, 404, 'without a merchant')
  t.equal(await check('POST', '/wechat/pay/notify/{appid}', notice), null)
  for (const method of ['GET', 'POST']) {
    const prefetched = await gateway.call(`/wechat/prefetch/${APPID}?code=a`, { method })
    t.equal(prefetched.status, 404, 'without data pre-fetch')
    t.equal(await check(method, '/wechat/prefetch/{appid}', prefetched), null)
  }
  await call(204, 'POST', '/auth/logout', undefined, token)
  await call(401, 'GET', '/auth/session', undefined, token)

  const all = operationsOf(await readDocument(gateway, 'edge')).map(([name]) => name)
  t.same(
    all.filter((name) => !checked.has(name)),
    [],
    'no operation was left out'
  )
})

type Expect = (status: number, method: string, path: string, body?: string) => Promise<void>

async function checkPush(expect: Expect): Promise<void> {
  const message = { FromUserName: 'oALICE01', CreateTime: 1, MsgType: 'event', Event: 'x' }
  const { path, body } = pushRequest(APPID, message)
  const unknown = pushRequest('wx0000000000000000', message)
  await expect(200, 'GET', `${path}&echostr=1`)
  await expect(401, 'GET', `/wechat/push/${APPID}`)
  await expect(404, 'GET', unknown.path)
  await expect(200, 'POST', path, body)
  await expect(401, 'POST', path, 'x')
  await expect(404, 'POST', unknown.path, unknown.body)
  await expect(413, 'POST', path, 'x'.repeat(600_000))
}

test('every answer of the service listener matches its document', async (t) => {
  const gateway = await build(t)
  const document = await readDocument(gateway, 'service')
  const { check, checked } = createChecker(document)
  const { access_token: userToken } = await gateway.login('alice')
  const openid = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const code = gateway.sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: APPID })
  const user = { appid: APPID, openid }
  const nobody = { appid: APPID, openid: 'oNobodyAtAll' }
  const claims = JSON.parse(Buffer.from(userToken.split('.')[1] ?? '', 'base64url').toString()) as {
    sid: string
    sub: string
  }

  const send = (method: string, path: string, body?: unknown, token = SERVICE_TOKEN) =>
    gateway.service(path, { method, token, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
  const expect = async (
    status: number,
    method: string,
    template: string,
    path: string,
    body?: unknown,
    token?: string
  ) => {
    const response = await send(method, path, body, token)
    const found = response.status
    t.equal(await check(method, template, response), null, `${method} ${path}`)
    t.equal(found, status, `${method} ${path}`)
  }

  for (const path of [
    '/openapi.json',
    '/openapi/edge.json',
    '/openapi/service.json',
    '/',
    '/livez',
    '/healthz',
    '/readyz',
    '/metrics'
  ])
    await expect(200, 'GET', path, path)
  await expect(200, 'GET', '/readyz', '/readyz?verbose')
  await expect(204, 'GET', '/auth/verify', '/auth/verify', undefined, userToken)
  await expect(401, 'GET', '/auth/verify', '/auth/verify', undefined, 'none')
  const wafer = { interface: { interfaceName: 'qcloud.cam.auth', para: { id: 'x', skey: 'y' } } }
  await expect(200, 'POST', '/mina_auth/', '/mina_auth/', wafer)
  await expect(400, 'POST', '/mina_auth/', '/mina_auth/', {})
  const posts: [string, unknown, unknown][] = [
    ['/v1/open-data', { ...user, encryptedData, iv }, { ...nobody, encryptedData, iv }],
    ['/v1/sign', { ...user, body: 'x', uri: '/xpay/x' }, { ...nobody, body: 'x' }],
    ['/v1/reset-session', user, nobody]
  ]
  for (const [path, good, bad] of posts) {
    await expect(200, 'POST', path, path, good)
    await expect(409, 'POST', path, path, bad)
  }
  await expect(200, 'POST', '/v1/check-session', '/v1/check-session', user)
  for (const path of ['/v1/open-data', '/v1/sign', '/v1/reset-session', '/v1/check-session']) {
    await expect(400, 'POST', path, path, {})
    await expect(413, 'POST', path, path, { ...user, body: 'x'.repeat(300_000) })
    await expect(401, 'POST', path, path, {}, 'wrong')
    await expect(403, 'POST', path, path, {}, 'pay-only-token-0123456789')
  }
  const payments: [string, object][] = [
    ['/v1/pay/params', { appid: APPID, prepay_id: 'wx1' }],
    ['/v1/pay/request', { appid: APPID, method: 'GET', path: '/v3/x' }]
  ]
  for (const [path, body] of payments) {
    await expect(404, 'POST', path, path, body)
    await expect(400, 'POST', path, path, {})
    await expect(401, 'POST', path, path, body, 'wrong')
  }
  const users = '/v1/users/{appid}/{openid}'
  await expect(200, 'GET', users, `/v1/users/${APPID}/${openid}`)
  await gateway.call('/auth/phone', { method: 'POST', token: userToken, body: JSON.stringify({ code }) })
  const bound = await send('GET', `/v1/users/${APPID}/${openid}`)
  t.match(await bound.clone().json(), { phone: { number: phoneNumberOf('alice') } })
  t.equal(await check('GET', users, bound), null)
  await expect(404, 'GET', users, `/v1/users/${APPID}/oNobodyAtAll`)
  await expect(200, 'GET', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(204, 'DELETE', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(404, 'GET', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(404, 'DELETE', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(204, 'DELETE', `${users}/sessions`, `/v1/users/${APPID}/${openid}/sessions`)
  await expect(404, 'DELETE', `${users}/sessions`, `/v1/users/${APPID}/oNobodyAtAll/sessions`)
  const dead = '/v1/push/dead'
  await expect(200, 'GET', dead, dead)
  await expect(400, 'GET', dead, `${dead}?limit=0`)
  await expect(404, 'POST', `${dead}/{id}/retry`, `${dead}/push.${APPID}.1/retry`)
  await gateway.call('/api/x')
  await expect(200, 'GET', '/v1/status', '/v1/status')
  await expect(403, 'GET', '/v1/status/events', '/v1/status/events', undefined, 'pay-only-token-0123456789')
  await expect(200, 'GET', '/v1/failures', '/v1/failures?kind=refused')
  const [failure] = ((await (await send('GET', '/v1/failures')).json()) as { failures: { id: string }[] }).failures
  const identity = '/v1/failures/{id}/identity'
  await expect(200, 'POST', identity, `/v1/failures/${failure?.id}/identity`)
  await expect(404, 'POST', identity, '/v1/failures/1-1-1/identity')
  await expect(200, 'POST', '/v1/explain', '/v1/explain', { method: 'GET', path: '/api/x' })
  await expect(400, 'POST', '/v1/explain', '/v1/explain', {})
  const quotas = '/v1/apps/{appid}/quotas'
  await expect(200, 'POST', quotas, `/v1/apps/${APPID}/quotas`, { paths: ['/wxa/msg_sec_check'] })
  await expect(400, 'POST', quotas, `/v1/apps/${APPID}/quotas`, {})
  const byId = '/v1/users/{id}'
  await expect(200, 'GET', byId, `/v1/users/${claims.sub}`)
  await expect(404, 'GET', byId, '/v1/users/u_unknown')
  await expect(200, 'GET', `${byId}/sessions`, `/v1/users/${claims.sub}/sessions`)
  await expect(404, 'GET', `${byId}/sessions`, '/v1/users/u_unknown/sessions')
  await expect(200, 'GET', `${users}/sessions`, `/v1/users/${APPID}/${openid}/sessions`)
  await expect(404, 'GET', `${users}/sessions`, `/v1/users/${APPID}/oNobodyAtAll/sessions`)
  await expect(204, 'DELETE', `${byId}/sessions`, `/v1/users/${claims.sub}/sessions`)
  await expect(404, 'DELETE', `${byId}/sessions`, '/v1/users/u_unknown/sessions')
  const wxapi = '/wxapi/{appid}/{path}'
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    await expect(403, method, wxapi, `/wxapi/${APPID}/cgi-bin/token`)
    await expect(400, method, wxapi, `/wxapi/${APPID}/a;b`)
    await expect(404, method, wxapi, `/wxapi/${APPID}/`)
  }
  const { accessTokens, faults } = gateway.sandbox.state
  for (const [errcode, status] of [
    [-1, 503],
    [45009, 429]
  ] as const) {
    accessTokens.expire(APPID)
    const fault = { kind: 'errcode', errcode } as const
    faults.add({ path: '/cgi-bin/stable_token', fault, appId: null, times: 1, skip: 0, after: false })
    await expect(status, 'GET', wxapi, `/wxapi/${APPID}/wxa/x`)
  }

  const all = operationsOf(document).map(([name]) => name)
  t.same(
    all.filter((name) => !checked.has(name) && !name.startsWith('HEAD ')),
    [],
    'no operation was left out'
  )
})

test('docs/service-api.md names every operation below /v1 and /wxapi with its scope, and no other', async (t) => {
  const document = await readDocument(await build(t), 'service')
  const described = Object.entries(document.paths)
    .filter(([path]) => /^\/(?:v1|wxapi)\//.test(path))
    .flatMap(([path, operations]) => {
      const rows = Object.entries(operations).map(([method, { tags }]) => {
        return `${path.startsWith('/wxapi') ? 'ANY' : method.toUpperCase()} ${path} ${tags?.[0]}`
      })
      return [...new Set(rows)]
    })
  const text = page('service-api.md')
  const named = [...text.matchAll(/^\| `([A-Z]+ \/(?:v1|wxapi)\/\S+)` \| (\w+) \|/gm)].map(
    (match) => `${match[1]} ${match[2]}`
  )
  t.same(named.sort(), described.sort())
  for (const [path, operations] of Object.entries(document.paths)) {
    if (!/^\/v1\//.test(path)) continue
    for (const { requestBody } of Object.values(operations)) {
      const schema = requestBody?.content['application/json']?.schema as { properties?: object } | undefined
      for (const member of Object.keys(schema?.properties ?? {}))
        t.ok(text.includes(`\`${member}\``), `${path} ${member}`)
    }
  }
})
