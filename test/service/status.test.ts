/** The state of the gateway: GET /v1/status, its event stream, recent failures, explain. */
import { get, type IncomingMessage } from 'node:http'
import { type Test, test } from 'tap'
import type { StatusAnswer } from '../../src/service/status/status.ts'
import { APP_SECRET, APPID, buildTestGateway, SECRET, SERVICE_TOKEN, type TestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'

const OTHER_SCOPE = 'no-admin-token-0123456789'
const NARROWED = 'one-app-token-0123456789'
const TOKENS = [
  { name: 'test', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'admin'] },
  { name: 'backend', token: OTHER_SCOPE, scopes: ['session', 'wxapi', 'pay'] },
  { name: 'shop', token: NARROWED, scopes: ['session', 'admin'], apps: [APPID] }
]
const FIXED = 'Basic canary-upstream-credential'
const PUSH_TOKEN = 'canarypushtoken'

async function build(t: Test): Promise<TestGateway> {
  const upstream = await startServer(t, (req, res) => {
    res.writeHead(req.url?.startsWith('/api/broken') ? 500 : 200).end('{}')
  })
  return buildTestGateway(t, upstream, {
    config: {
      service: { host: '127.0.0.1', port: 2, tokens: TOKENS },
      apps: [
        { appid: APPID, name: 'shop', secret: APP_SECRET, push: { token: PUSH_TOKEN, upstream: 'app', path: '/e' } }
      ],
      upstreams: {
        app: { targets: [{ url: upstream }], headers: { Authorization: FIXED }, circuitBreaker: {} },
        dead: { targets: [{ url: 'http://127.0.0.1:9' }] }
      },
      routes: [
        { path: '/api', upstream: 'app', rateLimit: { max: 1000, window: '1m', by: 'user' }, concurrency: 50 },
        { path: '/public', upstream: 'app', auth: 'public' },
        { path: '/dead', upstream: 'dead', auth: 'public', methods: ['GET'] }
      ]
    }
  })
}

const json = async <T>(response: Response) => (await response.json()) as T

interface Failures {
  readonly failures: readonly {
    readonly id: string
    readonly kind: string
    readonly path: string
    readonly status: number
    readonly reason: string
    readonly cause: string | null
    readonly client: string
    readonly user: string | null
    readonly target: string | null
  }[]
}

test('the status tells the truth and no secret', async (t) => {
  const gateway = await build(t)
  const { access_token: token, user } = await gateway.login('alice')
  for (let count = 0; count < 3; count++) await gateway.call('/api/x', { token })
  await gateway.call('/api/broken', { token })
  await gateway.call('/dead/x')
  await gateway.call('/api/x', { token: 'canary-not-a-token' })
  await gateway.call('/api/<script>alert(1)</script>', { token: 'x', headers: { 'user-agent': '<img src=x>' } })

  await t.test('status', async (t) => {
    const response = await gateway.service('/v1/status', { token: SERVICE_TOKEN })
    t.equal(response.status, 200)
    t.equal(response.headers.get('cache-control'), 'no-store')
    const status = await json<StatusAnswer>(response)
    t.match(status, {
      version: '0.0.0-test',
      node: process.version,
      readiness: 'ok',
      has_sandbox: true,
      processes: [{ pid: process.pid, readiness: 'ok' }],
      configuration: { file: null, last_reload: null, warnings: [] },
      store: { kind: 'memory', is_trusted: true, is_writable: true },
      revocations: 0
    })
    t.same(
      status.listeners.map(({ name, port }) => [name, port]),
      [
        ['edge', gateway.port],
        ['service', gateway.servicePort]
      ]
    )
    const [api] = status.routes
    t.match(api, {
      path: '/api',
      auth: 'required',
      rate_limit: { max: 1000, window_ms: 60_000, by: 'user' },
      concurrency: 50,
      counts: { errors: 1, statuses: { '2xx': 3, '5xx': 1 } }
    })
    t.ok((api?.counts.p99_ms ?? 0) > 0)
    const app = status.upstreams.find(({ name }) => name === 'app')
    t.match(app, { state: 'ok', balance: 'roundRobin', targets: [{ state: 'ok', breaker: 'closed', in_flight: 0 }] })
    t.match(app?.targets[0]?.tries, { '2xx': 3, '5xx': 1 })
    t.match(status.apps, [
      { appid: APPID, name: 'shop', logins: { ok: 1 }, has_push: true, access_token: { state: 'none' } }
    ])
    t.match(status.queues, [{ kind: 'push', appid: APPID, waiting: 0, dead: 0 }])
    const text = JSON.stringify(status)
    for (const secret of [APP_SECRET, SECRET, SERVICE_TOKEN, FIXED, PUSH_TOKEN, OTHER_SCOPE, token])
      t.notOk(text.includes(secret), secret)
  })

  await t.test('refusals and failures', async (t) => {
    const list = (query = '') => gateway.service(`/v1/failures${query}`, { token: SERVICE_TOKEN })
    const { failures } = await json<Failures>(await list())
    t.same(
      failures.map(({ kind, status, reason }) => [kind, status, reason]),
      [
        ['refused', 401, 'token_invalid'],
        ['refused', 401, 'token_invalid'],
        ['failed', 502, 'upstream_unreachable'],
        ['failed', 500, 'token']
      ]
    )
    t.match(failures[2], { cause: 'ECONNREFUSED', target: '127.0.0.1:9', client: '127.0.0.*', user: null })
    t.equal(failures[3]?.user, `${user.id.slice(0, 5)}…`)
    t.notOk(JSON.stringify(failures).includes('canary'))
    const failed = await json<Failures>(await list('?kind=failed&limit=1'))
    t.equal(failed.failures.length, 1)
    const older = await json<Failures>(await list(`?kind=failed&before=${failed.failures[0]?.id}`))
    t.equal(older.failures.length, 1)

    const reveal = (id: string) =>
      gateway.service(`/v1/failures/${id}/identity`, { method: 'POST', token: SERVICE_TOKEN })
    t.same(await json(await reveal(failures[3]?.id ?? '')), { client: '127.0.0.1', app: APPID, user: user.id })
    t.equal((await reveal('1-1-1')).status, 404)
    const audit = gateway.lines.find((line) => line.includes('/v1/failures/:id/identity'))
    t.match(JSON.parse(audit ?? '{}'), { event: 'service_call', caller: 'test', user: user.id, result: 'ok' })
  })

  await t.test('explain', async (t) => {
    const explain = (body: object) =>
      gateway.service('/v1/explain', { method: 'POST', token: SERVICE_TOKEN, body: JSON.stringify(body) })
    const headers = [`Authorization: Bearer ${token}`, 'X-OpenId: forged', 'Host: shop.example.com']
    const explained = await explain({ method: 'GET', path: '/api/x?a=1', headers })
    const text = await explained.text()
    t.match(JSON.parse(text), {
      path: '/api/x',
      route: { path: '/api', place: 'routes[0]', upstream: 'app' },
      auth: { verdict: 'token', principal: { user: user.id }, notes: [] },
      outcome: 'forwarded',
      upstream: { method: 'GET', path: '/api/x?a=1' },
      stripped: [{ name: 'Authorization' }, { name: 'X-OpenId' }, { name: 'Host' }]
    })
    for (const secret of [token, FIXED]) t.notOk(text.includes(secret))
    t.match(await json(await explain({ method: 'POST', path: '/dead/x' })), {
      outcome: 'refused',
      answer: { status: 405 }
    })
    t.match(await json(await explain({ method: 'GET', path: '/api/%2e%2e/x' })), { outcome: 'refused' })
    t.equal((await explain({ method: 'GET', path: '/', headers: ['no colon'] })).status, 400)
    t.equal((await explain({ method: 'GET', path: '/', from: 'nowhere' })).status, 400)
    t.equal((await explain({})).status, 400)
    await gateway.call('/auth/logout', { method: 'POST', token })
    t.match(await json(await explain({ method: 'GET', path: '/api/x', headers })), {
      auth: { verdict: 'session_revoked' },
      outcome: 'refused'
    })
  })

  await t.test('scopes', async (t) => {
    const calls: [string, string][] = [
      ['GET', '/v1/status'],
      ['GET', '/v1/status/events'],
      ['GET', '/v1/failures'],
      ['POST', '/v1/failures/1/identity'],
      ['POST', '/v1/explain']
    ]
    for (const [method, path] of calls) {
      for (const other of [OTHER_SCOPE, NARROWED]) {
        const response = await gateway.service(path, { method, token: other })
        t.equal(response.status, 403, `${method} ${path}`)
        await response.text()
      }
      t.equal((await gateway.service(path, { method, token: 'x' })).status, 401)
      t.equal((await gateway.service(path, { method, headers: { cookie: 'wxgate_console=x' } })).status, 401)
    }
  })
})

interface Sessions {
  readonly sessions: readonly { readonly id: string; readonly appid: string; readonly refreshes: number }[]
}

test('the live sessions of a user are those of the latest ten logins that have not ended', async (t) => {
  const gateway = await build(t)
  const list = async (path: string) =>
    (await json<Sessions>(await gateway.service(path, { token: SERVICE_TOKEN }))).sessions
  const { user } = await gateway.login('alice')
  const byOpenId = `/v1/users/${APPID}/${gateway.sandbox.state.people.person(APPID, 'alice').openId}/sessions`
  const byId = `/v1/users/${user.id}/sessions`
  t.equal((await list(byId)).length, 1)
  for (let count = 0; count < 11; count++) {
    const code = gateway.sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: APPID })
    const login = { method: 'POST', body: JSON.stringify({ code }) }
    t.equal((await gateway.call('/auth/login', login)).status, 200)
  }
  const [latest, ...older] = await list(byId)
  t.equal(older.length, 9)
  t.same(await list(byOpenId), await list(byId))
  const session = await json<object>(await gateway.service(`/v1/sessions/${latest?.id}`, { token: SERVICE_TOKEN }))
  t.match(session, { id: latest?.id, appid: APPID, user: user.id, refreshes: 0 })
  await gateway.service(`/v1/sessions/${latest?.id}`, { method: 'DELETE', token: SERVICE_TOKEN })
  t.equal((await list(byId)).length, 9)
  t.equal((await gateway.service(`/v1/sessions/${latest?.id}`, { token: SERVICE_TOKEN })).status, 404)
  await gateway.service(byId, { method: 'DELETE', token: SERVICE_TOKEN })
  t.same(await list(byId), [])
  t.equal((await gateway.service(`/v1/sessions/${older[0]?.id}`, { token: SERVICE_TOKEN })).status, 404)
  t.equal((await gateway.service('/v1/users/u_unknown/sessions', { token: SERVICE_TOKEN })).status, 404)
})

interface Sample {
  readonly requests: number
  readonly errors: number
  readonly logins: number
  readonly seconds: number
  readonly p50_ms: number | null
  readonly targets: readonly { readonly upstream: string; readonly tries: number }[]
}

/** An open event stream. */
interface Stream {
  readonly status: number
  readonly response: IncomingMessage
  /** The next event `sample`. */
  next(): Promise<Sample>
  readonly ended: Promise<unknown>
}

function openStream(gateway: TestGateway, token = SERVICE_TOKEN): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const options = { port: gateway.servicePort, path: '/v1/status/events', agent: false }
    get({ ...options, headers: { authorization: `Bearer ${token}` } }, (response) => {
      let text = ''
      let wake = () => {}
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
        wake()
      })
      const ended = new Promise((done) => response.once('close', done))
      const next = async (): Promise<Sample> => {
        for (;;) {
          const [, data] = /^event: sample\ndata: (.*)\n\n/m.exec(text) ?? []
          if (data !== undefined) {
            text = text.slice(text.indexOf(data) + data.length)
            return JSON.parse(data) as Sample
          }
          await new Promise<void>((done) => {
            wake = done
          })
        }
      }
      resolve({ status: response.statusCode ?? 0, response, next, ended })
    }).once('error', reject)
  })
}

test('the event stream sends what happened since the sample before', async (t) => {
  const gateway = await build(t)
  const { access_token: token } = await gateway.login('alice')
  const streams = await Promise.all(Array.from({ length: 32 }, () => openStream(gateway)))
  t.same([...new Set(streams.map(({ status }) => status))], [200])
  const [first] = streams
  if (first === undefined) throw new Error('no stream')
  t.match(first.response.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  await first.next()
  for (let count = 0; count < 5; count++) await gateway.call('/api/x', { token })
  await gateway.call('/dead/x')
  let [requests, errors, tries] = [0, 0, 0]
  while (requests < 6) {
    const sample = await first.next()
    requests += sample.requests
    errors += sample.errors
    tries += sample.targets.find(({ upstream }) => upstream === 'app')?.tries ?? 0
    t.ok(sample.seconds > 0)
  }
  t.same([requests, errors, tries], [6, 1, 5])

  await t.test('a thousand more consoles are refused, and the open ones go on', async (t) => {
    const refused = await Promise.all(Array.from({ length: 1_000 }, () => openStream(gateway)))
    t.same([...new Set(refused.map(({ status }) => status))], [503])
    for (const { response } of refused) response.destroy()
    t.ok((await first.next()).seconds > 0, 'the open ones go on')
    t.equal((await gateway.call('/public/x')).status, 200)
  })

  await t.test('a client that leaves makes room', async (t) => {
    streams[1]?.response.destroy()
    let opened = await openStream(gateway)
    while (opened.status === 503) opened = await openStream(gateway)
    t.equal(opened.status, 200)
  })

  await t.test('a reload and a drain end them', async (t) => {
    await gateway.gateway.reload(gateway.config)
    await Promise.all([...streams.slice(2), first].map(({ ended }) => ended))
    const again = await openStream(gateway)
    t.equal(again.status, 200)
    const drained = gateway.gateway.drain()
    await again.ended
    await drained
  })
})
