import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance } from 'fastify'
import { test } from 'tap'
import { phoneNumberOf } from '../src/sandbox/people.ts'
import { APP_SECRET, APPID, buildTestGateway, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'
import { startUpstream } from './support/upstream.ts'
import { sandboxOpenData } from './support/wechat-data.ts'

interface Media {
  readonly schema: Record<string, unknown>
}
interface Operation {
  readonly summary?: string
  readonly security?: readonly Record<string, readonly string[]>[]
  readonly requestBody?: { readonly content: Record<string, Media> }
  readonly parameters?: readonly { readonly name: string; readonly in: string }[]
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, Media> }>
}
interface Document {
  readonly openapi: string
  readonly components: { readonly schemas: Record<string, unknown> }
  readonly paths: Record<string, Record<string, Operation>>
}

const PROBLEM = 'application/problem+json'

async function readDocument(gateway: TestGateway): Promise<Document> {
  return (await (await gateway.service('/openapi.json')).json()) as Document
}

async function build(t: Parameters<typeof startUpstream>[0]) {
  const apps = [{ appid: APPID, secret: APP_SECRET, virtualPay: { appKey: 'canary-app-key' } }]
  const tokens = [
    { name: 'all', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'pay', 'admin'] },
    { name: 'none', token: 'pay-only-token-0123456789', scopes: ['pay'] }
  ]
  const service = { host: '127.0.0.1', port: 2, tokens }
  return buildTestGateway(t, (await startUpstream(t)).url, { config: { apps, service } })
}

/** What an answer breaks of the document's promises. */
function createChecker(document: Document) {
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema({ $id: 'document', components: document.components })
  const checked = new Set<string>()

  async function check(method: string, path: string, response: Response): Promise<string | null> {
    const operation = document.paths[path]?.[method.toLowerCase()]
    if (!operation) return `${method} ${path} is not in the document`
    const described = operation.responses[response.status]
    if (!described) return `${method} ${path} says nothing of ${response.status}`
    const type = (response.headers.get('content-type') ?? '').split(';')[0] ?? ''
    const text = await response.text()
    if (described.content === undefined) return text === '' ? null : `${response.status} should have no content`
    const media = described.content[type]
    if (!media) return `${method} ${path} ${response.status} says nothing of ${type}`
    const schema = JSON.parse(JSON.stringify(media.schema).replaceAll('"#/components', '"document#/components'))
    const isJson = type.endsWith('json')
    if (!ajv.validate(schema, isJson ? JSON.parse(text) : text)) return `${method} ${path}: ${ajv.errorsText()}`
    checked.add(`${method} ${path}`)
    return null
  }

  return { check, checked }
}

test('every endpoint that is registered is in the document, and nothing else', async (t) => {
  const instances: { app: FastifyInstance; routes: string[] }[] = []
  subscribe('fastify.initialization', (message) => {
    const { fastify: app } = message as { fastify: FastifyInstance }
    const routes: string[] = []
    instances.push({ app, routes })
    app.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat())
        if (one !== 'HEAD') routes.push(`${one} ${url.replace(/:(\w+)/g, '{$1}').replace('*', '{*}')}`)
    })
  })
  const gateway = await build(t)
  const document = await readDocument(gateway)
  const registered = instances.find(({ routes }) => routes.includes('GET /openapi.json'))?.routes ?? []
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  )
  t.ok(registered.length > 10)
  t.same(described.filter((entry) => !entry.startsWith('HEAD ')).sort(), registered.sort())
})

test('every operation says what it is for, what it needs and how it fails', async (t) => {
  const document = await readDocument(await build(t))
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = `${method} ${path}`
      t.ok(operation.summary, name)
      const names = operation.parameters?.filter((parameter) => parameter.in === 'path').map(({ name }) => name) ?? []
      t.same(names.sort(), [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]).sort(), name)
      if (!/^\/(?:v1|wxapi)\//.test(path)) continue
      t.match(operation.security, [{ serviceToken: [/^(?:session|admin|wxapi)$/] }], name)
      for (const status of ['400', '401', '403'])
        t.ok(operation.responses[status]?.content?.[PROBLEM], `${name} ${status}`)
    }
  }
})

test('what is answered is what the document says, for every operation', async (t) => {
  const gateway = await build(t)
  const document = await readDocument(gateway)
  const { check, checked } = createChecker(document)
  const { access_token: userToken } = await gateway.login('alice')
  const openid = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const code = gateway.sandbox.state.codes.mint({ kind: 'phone', name: 'alice', appId: APPID })
  const user = { appid: APPID, openid }
  const nobody = { appid: APPID, openid: 'oNobodyAtAll' }
  const claims = JSON.parse(Buffer.from(userToken.split('.')[1] ?? '', 'base64url').toString()) as { sid: string }

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

  for (const path of ['/openapi.json', '/livez', '/healthz', '/readyz', '/metrics'])
    await expect(200, 'GET', path, path)
  await expect(200, 'GET', '/readyz', '/readyz?verbose')
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    await expect(204, method, '/auth/verify', '/auth/verify', undefined, userToken)
    await expect(401, method, '/auth/verify', '/auth/verify', undefined, 'none')
    await expect(401, method, '/auth/verify/{*}', '/auth/verify/a/b', undefined, 'none')
  }
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
  const users = '/v1/users/{appid}/{openid}'
  await expect(200, 'GET', users, `/v1/users/${APPID}/${openid}`)
  await gateway.call('/auth/phone', { method: 'POST', token: userToken, body: JSON.stringify({ code }) })
  const bound = await send('GET', `/v1/users/${APPID}/${openid}`)
  t.match(await bound.clone().json(), { phone: { number: phoneNumberOf('alice') } })
  t.equal(await check('GET', users, bound), null)
  await expect(404, 'GET', users, `/v1/users/${APPID}/oNobodyAtAll`)
  await expect(204, 'DELETE', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(404, 'DELETE', '/v1/sessions/{sid}', `/v1/sessions/${claims.sid}`)
  await expect(204, 'DELETE', `${users}/sessions`, `/v1/users/${APPID}/${openid}/sessions`)
  await expect(404, 'DELETE', `${users}/sessions`, `/v1/users/${APPID}/oNobodyAtAll/sessions`)
  const wxapi = '/wxapi/{appid}/{*}'
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

  const all = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  )
  t.same(
    all.filter((entry) => !checked.has(entry) && !entry.startsWith('HEAD ')),
    [],
    'none was left out'
  )
})

test('docs/service-api.md names every operation below /v1 and /wxapi with its scope, and no other', async (t) => {
  const document = await readDocument(await build(t))
  const described = Object.entries(document.paths)
    .filter(([path]) => /^\/(?:v1|wxapi)\//.test(path))
    .flatMap(([path, operations]) => {
      const methods = path.startsWith('/wxapi')
        ? ['ANY']
        : Object.keys(operations).map((method) => method.toUpperCase())
      const scope = Object.values(operations)[0]?.security?.[0]?.serviceToken?.[0]
      return methods.map((method) => `${method} ${path.replace('{*}', '{path}')} ${scope}`)
    })
  const page = readFileSync(new URL('../docs/service-api.md', import.meta.url), 'utf8')
  const named = [...page.matchAll(/^\| `([A-Z]+ \/(?:v1|wxapi)\/\S+)` \| (\w+) \|/gm)].map(
    (match) => `${match[1]} ${match[2]}`
  )
  t.same(named.sort(), described.sort())
  for (const [path, operations] of Object.entries(document.paths)) {
    if (!/^\/v1\//.test(path)) continue
    for (const { requestBody } of Object.values(operations)) {
      const schema = requestBody?.content['application/json']?.schema as { properties?: object } | undefined
      for (const member of Object.keys(schema?.properties ?? {}))
        t.ok(page.includes(`\`${member}\``), `${path} ${member}`)
    }
  }
})
