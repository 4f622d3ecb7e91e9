/** Options of routes and upstreams that shape a request or refuse it: Host, own headers, redirects,
 *  addresses, maintenance, concurrency, methods. */
import { test } from 'tap'
import { configText, files, problems, warnings } from './support/config.ts'
import { buildTestGateway } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'
import { handshake, startSocketService } from './support/websocket.ts'

const CREDENTIAL = 'Basic canary-backend-credential'

test('an upstream gets the Host and the headers that its configuration names', async (t) => {
  let location = ''
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(202, { location }).end())
  const service = await startSocketService(t)
  const targets = [{ url: upstream.url }]
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] },
      upstreams: {
        app: { targets },
        client: { targets, host: 'client' },
        named: { targets, host: 'Shop.internal:8443', headers: { Authorization: CREDENTIAL, 'X-Api-Key': 'ours' } },
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

  location = 'https://shop.internal:8443/orders/1'
  t.equal((await ask('/named/x', ['Host: a'])).answer.headers.location, '/named/orders/1')
  t.equal((await ask('/kept/x', ['Host: a'])).answer.headers.location, location)
  location = `${upstream.url}/orders/1`
  t.equal((await ask('/named/x', ['Host: a'])).answer.headers.location, '/named/orders/1')
  t.equal((await ask('/kept/x', ['Host: a'])).answer.headers.location, location)
  t.notOk(gateway.lines.some((line) => line.includes('canary-backend-credential')))
})

const upstream = (rest: string) => configText({ upstreams: `{ orders: { targets: [{ url: http://a:1 }], ${rest} } }` })
const route = (rest: string) => configText({ routes: `[{ path: /a, upstream: orders, ${rest} }]` })

test('Host and headers of an upstream are checked', async (t) => {
  const rejected: [string, RegExp][] = [
    [upstream('host: http://shop.internal'), /:3:\d+ upstreams\.orders\.host: must be target, client, or a host name/],
    [upstream('host: "a b"'), /upstreams\.orders\.host: must be target, client, or a host name/],
    [upstream('host: $http_host'), /upstreams\.orders\.host: must be .* \(write client\)$/],
    [upstream('preserveHost: true'), /upstreams\.orders\.preserveHost: unknown key \(write host: client/],
    [upstream('headers: { Host: a }'), /headers\.Host: this header is reserved.*write host: NAME beside headers/],
    ...['X-OpenId', 'x.openid', 'X-WX-OPENID', 'X-Session-Id', 'Content-Length', 'Transfer-Encoding', 'Connection']
      .concat('TE', 'Upgrade', 'Proxy-Authorization', 'X-Forwarded-For', 'Forwarded', 'CDN-Loop', 'X-Request-Id')
      .concat('__proto__')
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
    [route('rewriteLocation: on'), /routes\[0\]\.rewriteLocation: must be true or false/]
  ]
  for (const [text, says] of rejected) t.match(problems(text), [says], text)
  const secret = upstream(`headers: { Authorization: "\${BACKEND}", X-Key: { file: key } }, host: "[::1]:80"`)
  t.same(
    problems(secret, { env: { BACKEND: CREDENTIAL }, readFile: files({ '/etc/wxgate/key': { text: 'k\n' } }) }),
    []
  )
  t.same(warnings(route('rewriteLocation: false')), [])
})
