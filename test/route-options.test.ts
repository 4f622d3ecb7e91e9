/** Options of routes and upstreams that shape a request or refuse it: Host, own headers, redirects,
 *  addresses, maintenance, concurrency, methods. */
import type { ServerResponse } from 'node:http'
import { test } from 'tap'
import { configText, files, problems, warnings } from './support/config.ts'
import { buildTestGateway, defaultConfig, readTestConfig } from './support/gateway.ts'
import { get, openClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'
import { handshake, startSocketService } from './support/websocket.ts'

const CREDENTIAL = 'Basic canary-backend-credential'

test('an upstream gets the Host and the headers that its configuration names', async (t) => {
  let location = ''
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(202, { location }).end())
  const service = await startSocketService(t)
  const checked = await startUpstream(t)
  const targets = [{ url: upstream.url }]
  const headers = { Authorization: CREDENTIAL, 'user-agent': 'gateway' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] },
      upstreams: {
        app: { targets },
        client: { targets, host: 'client' },
        named: { targets, host: 'Shop.internal:8443', headers: { Authorization: CREDENTIAL, 'X-Api-Key': 'ours' } },
        checked: { targets: [{ url: checked.url }], host: 'Shop.internal', headers, healthCheck: { path: '/healthz' } },
        socket: { targets: [{ url: service.url }], host: 'ws.internal', headers: { Authorization: CREDENTIAL } }
      },
      routes: [
        { path: '/target', upstream: 'app', auth: 'public' },
        { path: '/client', upstream: 'client', auth: 'public' },
        { path: '/named', upstream: 'named', auth: 'optional', stripPrefix: '/named' },
        { path: '/kept', upstream: 'named', auth: 'public', stripPrefix: '/kept', rewriteLocation: false },
        { path: '/ws', upstream: 'socket', auth: 'public' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const ask = async (path: string, lines: readonly string[], version = '1.1') => {
    const client = await openClient(t, gateway.port)
    client.send([`GET ${path} HTTP/${version}`, ...lines, 'Connection: close', '', ''].join('\r\n'))
    const answer = await client.response()
    client.close()
    const seen = upstream.seen.at(-1)
    const values = (name: string) =>
      seen?.rawHeaders.filter((_, at, all) => all[at - 1]?.toLowerCase() === name && at % 2 === 1)
    return { answer, seen, values }
  }
  const own = new URL(upstream.url).host
  const hosts: readonly (readonly [string, string[], string])[] = [
    ['/target', ['Host: a.example'], own],
    ['/client', ['Host: a.example:8080'], 'a.example:8080'],
    ['/client', ['Host: lb.internal', 'X-Forwarded-Host: a.example'], 'a.example'],
    ['/client', ['Host: lb.internal', 'X-Forwarded-Host: a.example, b.example'], 'lb.internal'],
    ['/client', ['Host: lb.internal', 'X-Forwarded-Host: a/b'], 'lb.internal'],
    ['/named', ['Host: a.example'], 'Shop.internal:8443']
  ]
  for (const [path, lines, host] of hosts) {
    t.same((await ask(path, lines)).values('host'), [host], lines.join())
  }
  t.equal((await ask('/client', [], '1.0')).seen?.headers.host, own, 'a client without Host')

  const prefixes: readonly (readonly [string, string])[] = [
    ['/base', '/base/named'],
    ['/base/v1/', '/base/v1/named'],
    ['//evil.example', '/named'],
    ['/\\\\evil.example', '/named'],
    ['https://evil.example', '/named'],
    ['/a b', '/named'],
    ['/', '/named']
  ]
  for (const [sent, received] of prefixes) {
    const { values } = await ask('/named/x', ['Host: a', `X-Forwarded-Prefix: ${sent}`])
    t.same(values('x-forwarded-prefix'), [received], `a prefix of a trusted proxy: ${sent}`)
  }

  const forged = ['x-api-key: EVIL', 'X-API-KEY: EVIL2', 'X.Api.Key: EVIL3', 'X_Api_Key: EVIL4']
  const { seen, values } = await ask('/named/x', ['Host: a', ...forged, `Authorization: Bearer ${token}`])
  t.same(values('authorization'), [CREDENTIAL])
  t.same(values('x-api-key'), ['ours'])
  t.notOk(seen?.rawHeaders.some((text) => text.startsWith('EVIL')))
  t.ok(seen?.headers['x-openid'])
  t.equal((await ask('/target', ['Host: a', 'X-Api-Key: mine'])).seen?.headers['x-api-key'], 'mine')

  const client = await openClient(t, gateway.port)
  client.send(handshake('/ws', undefined, 'X-Api-Key: mine\r\n'))
  t.match(await client.head(), /^HTTP\/1\.1 101 /)
  t.match(service.seen[0]?.headers, { host: 'ws.internal', authorization: CREDENTIAL, 'x-api-key': 'mine' })

  await until(() => checked.seen.length > 0)
  const named = { host: 'Shop.internal', authorization: CREDENTIAL, 'user-agent': 'gateway' }
  t.match(checked.seen[0], { url: '/healthz', headers: named }, 'health checks are requests too')

  location = 'https://shop.internal:8443/orders/1'
  t.equal((await ask('/named/x', ['Host: a'])).answer.headers.location, '/named/orders/1')
  t.equal((await ask('/kept/x', ['Host: a'])).answer.headers.location, location)
  location = `${upstream.url}/orders/1`
  t.equal((await ask('/named/x', ['Host: a'])).answer.headers.location, '/named/orders/1')
  t.equal((await ask('/kept/x', ['Host: a'])).answer.headers.location, location)
  t.notOk(gateway.lines.some((line) => line.includes('canary-backend-credential')))
})

test('addresses and maintenance refuse before the token is looked at', async (t) => {
  const service = await startUpstream(t)
  const allow = ['192.0.2.0/24', '::ffff:198.51.100.0/120', '2001:db8::/32']
  const gateway = await buildTestGateway(t, service.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1', '10.0.0.0/8'] },
      routes: [
        { path: '/office', upstream: 'app', auth: 'public', ip: { allow, deny: ['192.0.2.66', '2001:db8:bad::/48'] } },
        { path: '/open', upstream: 'app', auth: 'public', ip: { deny: ['0.0.0.0/0'] } },
        { path: '/closed', upstream: 'app', maintenance: { retryAfter: '90s', allow: ['192.0.2.1'] } },
        { path: '/both', upstream: 'app', ip: { allow }, maintenance: {} },
        { path: '/', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const ask = async (path: string, from: string | undefined, token?: string) => {
    const response = await gateway.call(path, {
      ...(from ? { headers: { 'x-forwarded-for': from } } : {}),
      ...(token ? { token } : {})
    })
    const { code = 'ok' } = (await response.json()) as { code?: string }
    return `${response.status} ${code} ${response.headers.get('retry-after') ?? ''}`.trim()
  }
  const cases: readonly (readonly [string, string | undefined, string])[] = [
    ['/office', '192.0.2.1', '200 ok'],
    ['/office', '192.0.2.1:5000', '200 ok'],
    ['/office', '::ffff:192.0.2.1', '200 ok'],
    ['/office', '::FFFF:c000:0201', '200 ok'],
    ['/office', '198.51.100.9', '200 ok'],
    ['/office', '::ffff:198.51.100.9', '200 ok'],
    ['/office', '2001:DB8:0:0::1', '200 ok'],
    ['/office', '[2001:db8::1]:443', '200 ok'],
    ['/office', '192.0.2.66', '403 forbidden'],
    ['/office', '::ffff:192.0.2.66', '403 forbidden'],
    ['/office', '2001:db8:bad::1', '403 forbidden'],
    ['/office', '198.51.101.9', '403 forbidden'],
    ['/office', '::ffff:203.0.113.1', '403 forbidden'],
    // A forged element stands before the one that the trusted proxy added.
    ['/office', '192.0.2.1, 203.0.113.7', '403 forbidden'],
    ['/office', '192.0.2.1, 203.0.113.7, 10.0.0.1', '403 forbidden'],
    ['/office', '192.0.2.1, garbage', '403 forbidden'],
    ['/office', undefined, '403 forbidden'],
    ['/office/', '203.0.113.7', '403 forbidden'],
    ['/OFFICE', '203.0.113.7', '404 no_route'],
    ['/office.json', '203.0.113.7', '404 no_route'],
    ['/open', '192.0.2.1', '403 forbidden'],
    ['/open', '2001:db8::1', '200 ok'],
    ['/closed', '203.0.113.7', '503 maintenance 90'],
    ['/closed', '192.0.2.1', '401 token_missing'],
    ['/CLOSED', '203.0.113.7', '404 no_route'],
    ['/both', '192.0.2.1', '503 maintenance 600'],
    ['/both', '203.0.113.7', '403 forbidden']
  ]
  for (const [path, from, answer] of cases) t.equal(await ask(path, from), answer, `${path} from ${from}`)
  const { access_token: token } = await gateway.login('alice')
  t.equal(await ask('/closed', '192.0.2.1', token), '200 ok')
  const client = await openClient(t, gateway.port)
  client.send(handshake('/closed', token))
  t.equal((await client.response()).status, 503, 'a WebSocket is refused alike')
})

test('a route serves as many requests at a time as its concurrency says, across a reload', async (t) => {
  const held: ServerResponse[] = []
  const service = await startUpstream(t, (_req, res) => void held.push(res))
  const sockets = await startSocketService(t)
  const upstreams = { app: { targets: [{ url: service.url }] }, ws: { targets: [{ url: sockets.url }] } }
  const routes = (more: object[]) => [
    { path: '/few', upstream: 'app', auth: 'public', concurrency: 2 },
    { path: '/few/ws', upstream: 'ws', auth: 'public', concurrency: 1 },
    ...more
  ]
  const gateway = await buildTestGateway(t, service.url, { config: { upstreams, routes: routes([]) } })
  const { server, service: own } = gateway.config
  const start = async (path: string) => {
    const client = await openClient(t, gateway.port)
    client.send(path === '/few/ws' ? handshake(path) : get(path))
    return client
  }
  const isServed = async () => {
    const before = held.length
    const client = await start('/few')
    await until(() => held.length > before || client.pending !== '')
    return held.length > before
  }
  const first = await start('/few')
  const second = await start('/few')
  await until(() => held.length === 2)
  const refused = await (await start('/few')).response()
  t.match(refused, { status: 503, headers: { 'retry-after': '1' } })
  t.equal(JSON.parse(refused.body).code, 'overloaded')

  const next = readTestConfig({
    ...defaultConfig(service.url),
    upstreams,
    routes: routes([{ path: '/new', upstream: 'app', auth: 'public' }])
  })
  await gateway.gateway.reload({ ...next, server, service: own })
  t.equal((await (await start('/few')).response()).status, 503, 'a reload forgets no request')

  first.close()
  await until(isServed)
  held.at(1)?.end()
  t.equal((await second.response()).status, 200)
  await until(isServed)

  const socket = await start('/few/ws')
  t.match(await socket.head(), /^HTTP\/1\.1 101 /)
  t.equal((await (await start('/few/ws')).response()).status, 503)
  socket.close()
  await until(async () => (await (await start('/few/ws')).head()).startsWith('HTTP/1.1 101 '))
})

test('a POST that names PATCH, PUT or DELETE counts as that method where the route says so', async (t) => {
  const service = await startUpstream(t)
  const gateway = await buildTestGateway(t, service.url, {
    config: {
      routes: [
        { path: '/any', upstream: 'app', auth: 'public', methodOverride: true },
        { path: '/split', upstream: 'app', auth: 'public', methods: ['GET', 'POST'] },
        { path: '/split', upstream: 'app', methods: ['PATCH'], methodOverride: true },
        { path: '/split', upstream: 'app', methods: ['DELETE'] },
        { path: '/few', upstream: 'app', auth: 'public', methods: ['GET', 'POST'], methodOverride: true },
        { path: '/off', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const send = async (method: string, path: string, lines: string, sent?: string) => {
    const before = service.seen.length
    const client = await openClient(t, gateway.port)
    const authorization = sent ? `Authorization: Bearer ${sent}\r\n` : ''
    client.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${authorization}${lines}Content-Length: 2\r\n\r\nhi`)
    const answer = await client.response()
    client.close()
    const seen = service.seen.at(before)
    t.notOk(
      seen?.rawHeaders.some((text) => /override/i.test(text)),
      'the header never goes upstream'
    )
    return seen ? `${seen.method} ${seen.body}` : `${answer.status} ${JSON.parse(answer.body).code}`
  }
  const override = (value: string) => `X-HTTP-Method-Override: ${value}\r\n`
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['POST', '/any', override('PATCH'), 'PATCH hi'],
    ['POST', '/any', override('PUT'), 'PUT hi'],
    ['POST', '/any', override('delete'), 'DELETE hi'],
    ['POST', '/any', 'x-http-method-override: PATCH\r\n', 'PATCH hi'],
    ['POST', '/any', '', 'POST hi'],
    ...['GET', 'HEAD', 'POST', 'OPTIONS', 'TRACE', 'CONNECT', 'PATCH, DELETE', 'PATCH;', '', 'P ATCH', 'patché'].map(
      (value) => ['POST', '/any', override(value), '400 bad_header'] as const
    ),
    ['POST', '/any', override('PATCH') + override('PATCH'), '400 bad_header'],
    // Other spellings and names are no override, and no backend sees them.
    ['POST', '/any', 'x_http_method_override: PATCH\r\n', 'POST hi'],
    ['POST', '/any', 'X.HTTP.Method.Override: PATCH\r\n', 'POST hi'],
    ['POST', '/any', 'X-HTTP-Method: PATCH\r\n', 'POST hi'],
    ['POST', '/any', 'X-Method-Override: PATCH\r\n', 'POST hi'],
    ['PUT', '/any', override('DELETE'), 'PUT hi'],
    ['GET', '/any', override('DELETE'), 'GET '],
    // The stricter route of PATCH takes it, token and all.
    ['POST', '/split', override('PATCH'), '401 token_missing'],
    ['POST', '/split', override('DELETE'), 'POST hi'],
    ['POST', '/split', override('GET'), 'POST hi'],
    ['POST', '/few', override('PATCH'), '405 method_not_allowed'],
    ['POST', '/off', override('PATCH'), 'POST hi'],
    ['POST', '/nowhere', override('PATCH'), '404 no_route']
  ]
  for (const [method, path, lines, answer] of cases)
    t.equal(await send(method, path, lines), answer, `${method} ${path} ${lines.trim()}`)
  t.equal(await send('POST', '/split', override('PATCH'), token), 'PATCH hi')
  t.ok(
    gateway.lines.some((line) => line.includes('"method":"PATCH","path":"/split"') && line.includes('"granted":true'))
  )
})

const upstream = (rest: string) => configText({ upstreams: `{ orders: { targets: [{ url: http://a:1 }], ${rest} } }` })
const route = (rest: string) => configText({ routes: `[{ path: /a, upstream: orders, ${rest} }]` })

test('Host and headers of an upstream, and the refusals of a route, are checked', async (t) => {
  const rejected: [string, RegExp][] = [
    [upstream('host: http://shop.internal'), /:3:\d+ upstreams\.orders\.host: must be target, client, or a host name/],
    [upstream('host: "a b"'), /upstreams\.orders\.host: must be target, client, or a host name/],
    [upstream('host: $http_host'), /upstreams\.orders\.host: must be .* \(write client\)$/],
    [upstream('preserveHost: true'), /upstreams\.orders\.preserveHost: unknown key \(write host: client/],
    [upstream('headers: { Host: a }'), /headers\.Host: this header is reserved.*write host: NAME beside headers/],
    ...['X-OpenId', 'x.openid', 'X-WX-OPENID', 'X-Session-Id', 'Content-Length', 'Transfer-Encoding', 'Connection']
      .concat('TE', 'Upgrade', 'Proxy-Authorization', 'X-Forwarded-For', 'Forwarded', 'CDN-Loop', 'X-Request-Id')
      .concat('X-HTTP-Method-Override', '__proto__')
      .map((name): [string, RegExp] => [
        upstream(`headers: { ${name}: a }`),
        /headers\S* this header is reserved and cannot be set$/
      ]),
    [upstream('headers: { X-A: a, x.a: b }'), /headers\["x\.a"\]: is another spelling of "X-A"$/],
    [upstream('headers: { X-A: "键" }'), /headers\.X-A: the value must not hold/],
    [upstream('headers: { X-A: "a\\nb" }'), /headers\.X-A: holds a line feed/],
    [upstream('headers: { X-A: $TOKEN }'), /headers\.X-A: is the name of a variable, not its value/],
    [upstream('headers: { X-A: { file: missing } }'), /headers\.X-A\.file: .*there is no such file/],
    [upstream('headers: { "X A": a }'), /headers\["X A"\]: not a valid header name/],
    [
      configText({
        upstreams: '{ orders: { targets: [{ url: http://a:1 }], headers: { X-A: a } } }',
        routes: '[{ path: /a, upstream: orders, requestHeaders: { set: { x-a: b } } }]'
      }),
      /routes\[0\]\.requestHeaders\.set\.x-a: upstreams\.orders\.headers sets this header too \(remove one\)$/
    ],
    [route('ip: { allow: [10.0.0.0/33] }'), /ip\.allow\[0\]: must have a prefix length from 0 to 32/],
    [route('ip: { deny: [h5.example.com] }'), /ip\.deny\[0\]: must be an IP address or a CIDR range/],
    [route('ip: 10.0.0.0/8'), /ip: must be a mapping.*write \{ allow: \[10\.0\.0\.0\/8\] \}/],
    [route('ipWhitelist: [10.0.0.1]'), /ipWhitelist: unknown key \(write ip: \{ allow/],
    [route('maintenance: true'), /maintenance: must be a mapping.*write \{ retryAfter: 10m/],
    [route('maintenance: { retryAfter: 0s }'), /maintenance\.retryAfter: must be from 1s to 30d/],
    [route('maintenance: { allow: ["::1/x"] }'), /maintenance\.allow\[0\]: must have a prefix length from 0 to 128/],
    [route('concurrency: 0'), /concurrency: must be from 1 to 1000000/],
    [route('concurrency: many'), /concurrency: must be a whole number/],
    [route('rewriteLocation: on'), /routes\[0\]\.rewriteLocation: must be true or false/]
  ]
  for (const [text, says] of rejected) t.match(problems(text), [says], text)
  const secret = upstream(`headers: { Authorization: "\${BACKEND}", X-Key: { file: key } }, host: "[::1]:80"`)
  t.same(
    problems(secret, { env: { BACKEND: CREDENTIAL }, readFile: files({ '/etc/wxgate/key': { text: 'k\n' } }) }),
    []
  )
  t.match(warnings(route('ip: {}')), [/routes\[0\]\.ip: refuses no address/])
  t.same(warnings(route('rewriteLocation: false, ip: { allow: [10.0.0.1] }, maintenance: {}, concurrency: 5')), [])
})
