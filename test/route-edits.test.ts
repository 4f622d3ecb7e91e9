/** A route changes what passes: prefixes, redirects, headers, the names of the identity,
 *  methods. */
import { test } from 'tap'
import { valuesOf } from './support/attack.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { get, openClient } from './support/raw-client.ts'
import { startRawUpstream } from './support/raw-upstream.ts'
import { startUpstream } from './support/upstream.ts'

test('P31 a prefix is stripped whatever follows it', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/api', upstream: 'app', auth: 'public', stripPrefix: '/api' },
        { path: '/deep/er', upstream: 'app', auth: 'public', stripPrefix: '/deep' }
      ]
    }
  })
  for (const [path, seen] of [
    ['/api', '/'],
    ['/api/', '/'],
    ['/api?x=1', '/?x=1'],
    ['/api/?x=1', '/?x=1'],
    ['/api?', '/?'],
    ['/api/a/b?/api/c', '/a/b?/api/c'],
    ['/api/api', '/api'],
    ['/api/@evil.example', '/@evil.example'],
    ['/deep/er/x', '/er/x']
  ] as const) {
    const client = await openClient(t, gateway.port)
    client.send(get(path))
    t.equal((await client.response()).status, 200, path)
    t.equal(upstream.seen.at(-1)?.url, seen, path)
    client.close()
  }
})

test('a redirect leads back through the gateway and never shows the upstream', async (t) => {
  let location = ''
  let name = 'Location'
  const upstream = await startRawUpstream(t, (socket) =>
    socket.write(`HTTP/1.1 302 Found\r\n${name}: ${location}\r\nContent-Length: 0\r\n\r\n`)
  )
  const other = await freePort()
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      upstreams: { app: { targets: [{ url: upstream.url, weight: 1000 }, { url: `http://127.0.0.1:${other}` }] } },
      routes: [
        { path: '/plain', upstream: 'app', auth: 'public' },
        { path: '/api', upstream: 'app', auth: 'public', stripPrefix: '/api' }
      ]
    }
  })
  const host = `127.0.0.1:${upstream.port}`
  const cases: readonly (readonly [string, string, string])[] = [
    // Sent by the upstream, seen by the client, seen under a stripped prefix.
    [`http://${host}/orders/1`, '/orders/1', '/api/orders/1'],
    [`HTTP://${host}/orders?a=b#c`, '/orders?a=b#c', '/api/orders?a=b#c'],
    [`https://${host}/x`, '/x', '/api/x'],
    [`//${host}/x`, '/x', '/api/x'],
    [`http://${host}`, '/', '/api'],
    [`http://${host}/`, '/', '/api'],
    [`http://${host}?a=b`, '/?a=b', '/api/?a=b'],
    [`http://127.0.0.1:${other}/x`, '/x', '/api/x'],
    [`http://${host}//evil.example/x`, '/.//evil.example/x', '/api/.//evil.example/x'],
    [`http://${host}/\\evil.example/x`, '/./\\evil.example/x', '/api/./\\evil.example/x'],
    ['/orders/1', '/orders/1', '/api/orders/1'],
    ['/', '/', '/api'],
    ['/?a=b', '/?a=b', '/api/?a=b'],
    ['next', 'next', 'next'],
    ['?page=2', '?page=2', '?page=2'],
    ['https://pay.example/x', 'https://pay.example/x', 'https://pay.example/x'],
    [`http://${host}.evil.example/x`, `http://${host}.evil.example/x`, `http://${host}.evil.example/x`],
    [`http://user@${host}/x`, `http://user@${host}/x`, `http://user@${host}/x`],
    ['//cdn.example/x', '//cdn.example/x', '//cdn.example/x'],
    ['weixin://dl/business', 'weixin://dl/business', 'weixin://dl/business']
  ]
  for (name of ['Location', 'Content-Location']) {
    for (const [sent, plain, stripped] of cases) {
      location = sent
      for (const [path, expected] of [
        ['/plain/a', plain],
        ['/api/a', stripped]
      ] as const) {
        const answer = await gateway.call(path)
        t.equal(answer.headers.get(name), expected, `${sent} from ${path}`)
      }
    }
  }
})

test('headers are set and removed as a route says, in both directions', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => {
    res.writeHead(200, { 'x-powered-by': 'app', server: 'app', 'x-kept': '1', 'cache-control': 'public' }).end('ok')
  })
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        {
          path: '/public',
          upstream: 'app',
          auth: 'public',
          requestHeaders: { set: { 'X-Tenant': 'shop' }, remove: ['Cookie', 'x-debug'] },
          responseHeaders: {
            set: { 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY' },
            remove: ['X-Powered-By', 'server']
          }
        },
        { path: '/other', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const headers = { 'x-tenant': 'EVIL', cookie: 'a=b', 'X-Debug': '1', 'x-kept': '1' }
  const answer = await gateway.call('/public/x', { headers })
  t.match(upstream.seen[0]?.headers, { 'x-tenant': 'shop', 'x-kept': '1' })
  t.notOk('cookie' in (upstream.seen[0]?.headers ?? {}) || 'x-debug' in (upstream.seen[0]?.headers ?? {}))
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal(answer.headers.get('x-frame-options'), 'DENY')
  t.equal(answer.headers.get('x-kept'), '1')
  t.notOk(answer.headers.has('x-powered-by') || answer.headers.has('server'))
  const other = await gateway.call('/other/x', { headers: { cookie: 'a=b' } })
  t.equal(other.headers.get('x-powered-by'), 'app')
  t.equal(upstream.seen[1]?.headers.cookie, 'a=b')
  t.notOk('x-tenant' in (upstream.seen[1]?.headers ?? {}), 'a header that a route sets cannot be sent by a client')
})

test('a header that a route sets replaces any received one', async (t) => {
  const upstream = await startUpstream(t)
  const set = { 'Content-Type': 'text/plain', 'X-Client-IP': '192.0.2.1', Accept: 'text/plain' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] },
      routes: [
        { path: '/public', upstream: 'app', auth: 'public', requestHeaders: { set } },
        { path: '/other', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const headers = { 'content-type': 'application/json', 'x-client-ip': '203.0.113.7', accept: 'a/b' }
  for (const path of ['/public/x', '/other/x']) await gateway.call(path, { method: 'POST', body: '{}', headers })
  const [edited, other] = upstream.seen
  for (const [name, value] of Object.entries(set)) t.same(valuesOf(edited ?? { rawHeaders: [] }, name), [value], name)
  t.match(other?.headers, { 'content-type': 'application/json', 'x-client-ip': '203.0.113.7' }, 'another route')
})

test("identity has WeChat Cloud Run's names on routes that ask for them, and wxgate's elsewhere", async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/run', upstream: 'app', identity: { headers: 'cloudrun' } },
        { path: '/own', upstream: 'app' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const headers = { 'x-wx-openid': 'EVIL', 'x-openid': 'EVIL', 'x-wx-source': 'EVIL', 'x-wx-from-openid': 'EVIL' }
  await gateway.call('/run/x', { token, headers })
  await gateway.call('/own/x', { token, headers })
  const [run, own] = upstream.seen.map((seen) => seen.headers)
  t.match(run, { 'x-wx-openid': /^o/, 'x-wx-appid': APPID, 'x-wx-source': 'wx_client' })
  t.equal(own?.['x-openid'], run?.['x-wx-openid'])
  t.notOk('x-openid' in (run ?? {}) || 'x-user-id' in (run ?? {}))
  t.notOk(Object.keys(own ?? {}).some((name) => name.startsWith('x-wx-')))
  t.notMatch(JSON.stringify([run, own]), /EVIL|uthorization/)
})

test('a route for GET answers HEAD, and lists its methods for the rest', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/public', upstream: 'app', auth: 'public', methods: ['GET', 'POST'] },
        { path: '/write', upstream: 'app', auth: 'public', methods: ['PUT'] }
      ]
    }
  })
  t.equal((await gateway.call('/public/x', { method: 'HEAD' })).status, 200)
  const refused = await gateway.call('/public/x', { method: 'DELETE' })
  t.equal(refused.status, 405)
  t.same(new Set(refused.headers.get('allow')?.split(', ')), new Set(['GET', 'HEAD', 'POST']))
  t.match(await refused.json(), { code: 'method_not_allowed', action: 'none' })
  t.equal((await gateway.call('/write/x', { method: 'HEAD' })).status, 405)
  t.equal(upstream.seen.length, 1)
})
