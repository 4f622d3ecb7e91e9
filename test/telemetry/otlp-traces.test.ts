/** Spans of requests, as a collector receives them. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { lookup } from 'node:dns'
import { test } from 'tap'
import undici from 'undici'
import { createConnector } from '../../src/platforms/wechat/connector.ts'
import { createDialer } from '../../src/upstream/connection/dial.ts'
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.ts'
import { startEchoSocket } from '../support/echo-socket.ts'
import { APP_SECRET, APPID, buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from '../support/push.ts'
import { get, openClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

const SERVER = 2
const CLIENT = 3
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'

async function start(t: Parameters<typeof startCollector>[0], config: Record<string, unknown> = {}, sample = '100%') {
  const upstream = await startUpstream(t, (req, res) => {
    if (req.url?.startsWith('/api/reset')) req.socket.destroy()
    else if (req.url?.startsWith('/api/once') && upstream.seen.length % 2 === 1) res.writeHead(503).end()
    else res.writeHead(req.url?.includes('fails') ? 500 : 200).end('{}')
  })
  const collector = await startCollector(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      telemetry: { otlp: { endpoint: collector.url, sample, metrics: false } },
      upstreams: {
        app: { targets: [{ url: upstream.url }], retries: { attempts: 1, on: ['connect', 'reset', '503'] } },
        dead: { targets: [{ url: 'http://127.0.0.1:9' }], retries: { attempts: 0 } }
      },
      routes: [
        { path: '/api', upstream: 'app' },
        { path: '/public', upstream: 'app', auth: 'public' },
        { path: '/dead', upstream: 'dead', auth: 'public' }
      ],
      ...config
    }
  })
  return { upstream, collector, gateway }
}

/** The spans of the requests that `act` makes. */
async function spansOf(
  { collector, gateway }: { collector: Collector; gateway: TestGateway },
  act: () => Promise<unknown>
): Promise<ReceivedSpan[]> {
  await gateway.otlp?.flush()
  const before = collector.spans().length
  await act()
  await gateway.otlp?.flush()
  return collector.spans().slice(before)
}

const ofKind = (spans: readonly ReceivedSpan[], kind: number) => spans.filter((span) => span.kind === kind)
const named = (spans: readonly ReceivedSpan[], name: string) => spans.find((span) => span.name === name)

for (const fastLane of [true, false]) {
  const lane = fastLane ? 'fast' : 'general'
  test(`a proxied request has a span of its own, of its caller and of its try, on the ${lane} lane`, async (t) => {
    const all = await start(t, { server: { host: '127.0.0.1', port: 1, fastLane } })
    const { gateway, upstream } = all
    const { access_token: token } = await gateway.login('alice')
    const spans = await spansOf(all, () => gateway.call('/api/x?code=secret-code', { token }))
    const [server] = ofKind(spans, SERVER)
    const [attempt] = ofKind(spans, CLIENT)
    const caller = named(spans, 'authenticate')
    t.equal(spans.length, 3)
    t.match(server, {
      name: 'GET /api',
      traceId: /^[0-9a-f]{32}$/,
      spanId: /^[0-9a-f]{16}$/,
      parentSpanId: undefined,
      status: undefined,
      attributes: {
        'http.request.method': 'GET',
        'url.path': '/api/x',
        'url.scheme': 'http',
        'http.response.status_code': 200,
        'http.route': '/api',
        'server.address': '127.0.0.1',
        'server.port': gateway.port,
        'network.peer.address': '127.0.0.1',
        'client.address': '127.0.0.1',
        'wxgate.upstream': 'app',
        'wxgate.reason': 'token',
        'user_agent.original': undefined
      }
    })
    t.match(caller, { kind: 1, parentSpanId: server?.spanId, attributes: { 'wxgate.granted': true } })
    t.match(attempt, {
      name: 'GET',
      parentSpanId: server?.spanId,
      attributes: {
        'http.request.method': 'GET',
        'http.response.status_code': 200,
        'server.address': '127.0.0.1',
        'server.port': upstream.port,
        'url.full': `${upstream.url}/api/x`
      }
    })
    t.equal(upstream.seen.at(-1)?.headers.traceparent, `00-${server?.traceId}-${attempt?.spanId}-01`)
    for (const { startTimeUnixNano, endTimeUnixNano, traceId } of spans) {
      t.equal(traceId, server?.traceId)
      t.ok(BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano))
      t.ok(Math.abs(Number(BigInt(startTimeUnixNano) / 1_000_000n) - Date.now()) < 60_000)
    }
  })

  test(`each try has a span, whose id the backend gets, on the ${lane} lane`, async (t) => {
    const all = await start(t, { server: { host: '127.0.0.1', port: 1, fastLane } })
    const { gateway, upstream } = all
    const { access_token: token } = await gateway.login('alice')
    const spans = await spansOf(all, () => gateway.call('/api/once', { token }))
    const attempts = ofKind(spans, CLIENT)
    t.match(
      attempts.map(({ attributes, status }) => ({ attributes, status })),
      [
        {
          attributes: { 'http.response.status_code': 503, 'error.type': '503', 'http.request.resend_count': undefined },
          status: { code: 2 }
        },
        { attributes: { 'http.response.status_code': 200, 'http.request.resend_count': 1 }, status: undefined }
      ]
    )
    t.same(
      upstream.seen.map(({ headers }) => headers.traceparent?.slice(36, 52)),
      attempts.map(({ spanId }) => spanId)
    )
    const failed = await spansOf(all, () => gateway.call('/dead/x'))
    t.match(ofKind(failed, CLIENT), [{ attributes: { 'error.type': /^upstream_unreachable$/ }, status: { code: 2 } }])
    t.match(ofKind(failed, SERVER), [
      {
        attributes: {
          'http.response.status_code': 502,
          'error.type': /^upstream_unreachable$/,
          'wxgate.reason': /^upstream_unreachable:./
        },
        status: { code: 2 }
      }
    ])
    const refused = await spansOf(all, () => gateway.call('/api/x', { token: `${token}x` }))
    t.match(named(refused, 'authenticate')?.attributes, {
      'wxgate.granted': false,
      'wxgate.reason': 'token_invalid'
    })
    t.match(ofKind(refused, SERVER), [{ attributes: { 'http.response.status_code': 401 }, status: undefined }])
    t.same(ofKind(refused, CLIENT), [])
    const unknown = await spansOf(all, () => gateway.raw('PROPFIND /nowhere/x HTTP/1.1\r\nHost: x\r\n\r\n'))
    t.match(unknown, [{ name: 'HTTP', attributes: { 'http.request.method': '_OTHER', 'http.route': undefined } }])
  })
}

test('a traceparent counts from a trusted proxy only, and decides about the sample', async (t) => {
  const trusted = await start(t, { server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] } }, '0%')
  const ask = (flags: string, more = {}) =>
    spansOf(trusted, () =>
      trusted.gateway.call('/public/x', { headers: { traceparent: `${PARENT}-${flags}`, ...more } })
    )
  const spans = await ask('01', { tracestate: 'vendor=a:1,other=b' })
  const [server] = ofKind(spans, SERVER)
  t.match(server, {
    traceId: PARENT.slice(3, 35),
    parentSpanId: PARENT.slice(36),
    traceState: 'vendor=a:1,other=b'
  })
  const seen = trusted.upstream.seen.at(-1)?.headers
  t.match(seen, { tracestate: 'vendor=a:1,other=b', traceparent: /^00-0af7651916cd43dd8448eb211c80319c-.*-01$/ })
  t.same(await ask('00'), [], 'the parent is not sampled')
  t.equal(trusted.upstream.seen.at(-1)?.headers.traceparent, `${PARENT}-00`)
  t.same(await spansOf(trusted, () => trusted.gateway.call('/public/x', { headers: { tracestate: 'a=b' } })), [])
  const fresh = trusted.upstream.seen.at(-1)?.headers
  t.match(fresh?.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/, 'a trace that is not sampled')
  t.equal(fresh?.tracestate, undefined, 'a new trace has no state')
  const lines = [`traceparent: ${PARENT}-01`, `traceparent: ${PARENT}-00`, 'tracestate: a=b']
  for (const two of [lines, lines.toReversed(), ['traceparent: x', ...lines.slice(0, 1)]]) {
    const request = `GET /public/x HTTP/1.1\r\nHost: x\r\n${two.map((line) => `${line}\r\n`).join('')}\r\n`
    t.same(await spansOf(trusted, () => trusted.gateway.raw(request)), [], 'two are none')
    const headers = trusted.upstream.seen.at(-1)?.headers
    t.notMatch(headers?.traceparent, PARENT.slice(3, 35))
    t.equal(headers?.tracestate, undefined)
  }
  const later = (version: string, rest: string) =>
    spansOf(trusted, () =>
      trusted.gateway.call('/public/x', { headers: { traceparent: `${version}${PARENT.slice(2)}-${rest}` } })
    )
  for (const [version, flags] of [
    ['01', '01'],
    ['cc', 'ff'],
    ['fe', '03-what-the-future-will-be-like']
  ] as const) {
    t.match(ofKind(await later(version, flags), SERVER), [{ traceId: PARENT.slice(3, 35) }], `version ${version}`)
    const sent = trusted.upstream.seen.at(-1)?.headers.traceparent
    t.match(sent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/, 'sent as version 00')
  }
  t.same(await later('01', '02-x'), [], 'not sampled')
  t.equal(trusted.upstream.seen.at(-1)?.headers.traceparent, `${PARENT}-00`)
  for (const [version, flags] of [
    ['ff', '01'],
    ['FE', '01'],
    ['00', '01-more'],
    ['01', '01.more'],
    ['01', '01-a,b']
  ] as const) {
    t.same(await later(version, flags), [], `${version}-…-${flags}`)
    t.notMatch(trusted.upstream.seen.at(-1)?.headers.traceparent, PARENT.slice(3, 35), `${version}-…-${flags}`)
  }
  const short = `a=${'x'.repeat(300)},b=${'y'.repeat(205)}`
  for (const [state, kept] of [
    [`${short},c=1`, short],
    [`a=${'x'.repeat(600)}`, undefined]
  ] as const) {
    const [long] = ofKind(await ask('01', { tracestate: state }), SERVER)
    t.equal(long?.traceState, kept, 'a span has whole members')
    t.equal(trusted.upstream.seen.at(-1)?.headers.tracestate, state)
  }

  const open = await start(t, {}, '0%')
  const forced = await spansOf(open, () =>
    open.gateway.call('/public/x', { headers: { traceparent: `${PARENT}-01`, tracestate: 'a=b' } })
  )
  t.same(forced, [], 'a client cannot force a trace')
  t.notMatch(open.upstream.seen.at(-1)?.headers.traceparent, PARENT.slice(3, 35))
})

test('each delivery of a queued event belongs to the trace of the request that brought it', async (t) => {
  const push = { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'plain', path: '/api/once' }
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(upstream.seen.length === 1 ? 503 : 200).end())
  const all = await start(t, {
    apps: [{ appid: APPID, secret: APP_SECRET, push }],
    upstreams: { app: { targets: [{ url: upstream.url }] }, plain: { targets: [{ url: upstream.url }] } },
    routes: [{ path: '/api', upstream: 'app' }]
  })
  const { path, body } = pushRequest(APPID, { ToUserName: 'gh_1', FromUserName: 'oA', MsgType: 'event', Event: 'e' })
  const spans = await spansOf(all, async () => {
    t.equal((await all.gateway.call(path, { method: 'POST', body })).status, 200)
    await until(() => upstream.seen.length === 2)
  })
  await until(async () => {
    await all.gateway.otlp?.flush()
    return ofKind(all.collector.spans(), CLIENT).length === 2
  })
  const [server] = ofKind(all.collector.spans(), SERVER)
  const calls = ofKind(all.collector.spans(), CLIENT)
  t.ok(spans.length > 0)
  t.same(
    calls.map((span) => [span.traceId, span.parentSpanId, span.attributes['http.response.status_code']]),
    [503, 200].map((status) => [server?.traceId, server?.spanId, status])
  )
  t.same(
    upstream.seen.map(({ headers }) => headers.traceparent),
    calls.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`)
  )
})

test('a connection does not belong to the request that opened it', async (t) => {
  const scopes = new AsyncLocalStorage<string>()
  const upstream = await startUpstream(t)
  const tls = { ca: null, cert: null, key: null, serverName: null, insecureSkipVerify: false }
  const dialer = createDialer({ origin: new URL(upstream.url), tls, lookup })
  const connector = createConnector({ undici, proxy: null, timeoutMs: 60_000 })
  const { hostname, port } = new URL(upstream.url)
  const options = { hostname, port, protocol: 'http:', host: hostname }
  const seen = await scopes.run('request', async () => {
    const socket = dialer.dial(null)
    const dialled = new Promise((resolve) => socket.once('connect', () => resolve(scopes.getStore())))
    const connected = new Promise((resolve) =>
      connector.connect(options, (_, other) => {
        resolve(scopes.getStore())
        other?.destroy()
      })
    )
    const both = await Promise.all([dialled, connected])
    socket.destroy()
    return [...both, scopes.getStore()]
  })
  t.same(seen, [undefined, undefined, 'request'])
})

test('the end of a WebSocket in order is no error', async (t) => {
  const echo = await startEchoSocket(t)
  const all = await start(t, {
    upstreams: { app: { targets: [{ url: echo.url }] } },
    routes: [{ path: '/ws', upstream: 'app', auth: 'public' }]
  })
  const handshake =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
  const spans = await spansOf(all, async () => {
    const client = await openClient(t, all.gateway.port)
    client.send(get('/ws', undefined, handshake))
    t.match(await client.head(), /^HTTP\/1\.1 101 /)
    const drained = all.gateway.gateway.drain()
    await client.closed
    client.close()
    await drained
  })
  const attributes = { 'http.response.status_code': 101, 'error.type': undefined }
  t.match(ofKind(spans, CLIENT), [{ status: undefined, attributes }])
  t.match(ofKind(spans, SERVER), [{ status: undefined, attributes: { ...attributes, 'wxgate.reason': 'draining' } }])
})

test('the share of sampled requests is that of the configuration, which a reload changes', async (t) => {
  const all = await start(t, {}, '50%')
  const { gateway } = all
  const count = async () => {
    const spans = await spansOf(all, async () => {
      for (let index = 0; index < 200; index++) await gateway.call('/public/x')
    })
    return ofKind(spans, SERVER).length
  }
  const half = await count()
  t.ok(half > 60 && half < 140, String(half))
  const { telemetry } = gateway.config
  if (telemetry.otlp === null) return
  await gateway.gateway.reload({ ...gateway.config, telemetry: { otlp: { ...telemetry.otlp, sample: 0 } } })
  t.equal(await count(), 0)
  const refused = gateway.gateway.reload({ ...gateway.config, telemetry: { otlp: null } })
  await t.rejects(refused, { name: 'NeedsRestart' }, 'the rest needs a restart')
})

test('a login shows its steps and the calls to WeChat and to the login hook', async (t) => {
  const hook = await startUpstream(t, (_req, res) => res.writeHead(200).end('{"allow":true}'))
  const all = await start(t, {
    login: { hook: { upstream: 'hook', path: '/hook' } },
    upstreams: { hook: { targets: [{ url: hook.url }] } },
    routes: [{ path: '/api', upstream: 'hook' }]
  })
  const { gateway } = all
  const spans = await spansOf(all, () => gateway.login('alice'))
  const [server] = ofKind(spans, SERVER)
  t.match(server, { name: 'POST /auth/login', attributes: { 'http.route': '/auth/login' } })
  const steps = ['login.claim', 'login.exchange', 'login.record', 'login.hook', 'login.begin']
  for (const step of steps) t.match(named(spans, step), { kind: 1, parentSpanId: server?.spanId }, step)
  const [wechat, asked] = ofKind(spans, CLIENT)
  t.match(wechat, {
    parentSpanId: named(spans, 'login.exchange')?.spanId,
    attributes: {
      'url.full': `${gateway.sandboxUrl}/sns/jscode2session`,
      'http.response.status_code': 200
    }
  })
  t.match(asked, { parentSpanId: named(spans, 'login.hook')?.spanId, attributes: { 'url.full': `${hook.url}/hook` } })
  t.equal(hook.seen[0]?.headers.traceparent, `00-${server?.traceId}-${asked?.spanId}-01`)

  const refused = await spansOf(all, () => gateway.login('sandbox-errcode-40029'))
  t.match(named(refused, 'login.exchange'), { status: { code: 2 }, attributes: { 'error.type': 'code_invalid' } })
  t.match(ofKind(refused, CLIENT), [{ attributes: { 'http.response.status_code': 200 } }])
  const broken = await spansOf(all, () => gateway.login('sandbox-status-500'))
  t.match(ofKind(broken, CLIENT), [{ status: { code: 2 }, attributes: { 'http.response.status_code': 500 } }])

  const { access_token: token } = await gateway.login('bob')
  const checked = await spansOf(all, () => gateway.call('/auth/session?check=true', { token }))
  t.match(named(checked, 'authenticate')?.attributes, { 'wxgate.granted': true })
  t.ok(ofKind(checked, CLIENT).some(({ attributes }) => String(attributes['url.full']).endsWith('/wxa/checksession')))
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  t.notOk(JSON.stringify(all.collector.requests).includes(openId), 'no openid')
})
