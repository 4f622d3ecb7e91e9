/** `cors` of a route: preflights answered by the gateway, headers of every other answer, and the
 *  origin of WebSockets. */
import { test } from 'tap'
import { configText, problems, warnings } from './support/config.ts'
import { buildTestGateway } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'
import { handshake, startSocketService } from './support/websocket.ts'

const H5 = 'https://h5.example.com'

test('a page of a listed origin may call a route with cors, and no other page may', async (t) => {
  const upstream = await startUpstream(t, (req, res) => {
    res.writeHead(200, {
      'access-control-allow-origin': '*',
      'Access-Control-Allow-Credentials': 'true',
      'access-control-expose-headers': 'x-secret',
      ...(req.url === '/cors/vary' ? { vary: 'Accept, origin' } : { vary: 'Accept' })
    })
    res.end('{}')
  })
  const sockets = await startSocketService(t)
  const cors = { origins: [H5, 'https://h5.example.com:8443', 'http://localhost:5173'], maxAge: '5m' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] },
      upstreams: {
        app: { targets: [{ url: upstream.url }] },
        ws: { targets: [{ url: sockets.url }] },
        away: { targets: [{ url: 'http://127.0.0.1:9' }] }
      },
      routes: [
        { path: '/cors', upstream: 'app', methods: ['GET', 'POST', 'PATCH'], methodOverride: true, cors },
        {
          path: '/cookies',
          upstream: 'app',
          cors: { ...cors, headers: ['x-csrf'], exposeHeaders: [], credentials: true }
        },
        { path: '/away', upstream: 'away', auth: 'public', cors },
        { path: '/limited', upstream: 'app', auth: 'public', rateLimit: { max: 1, window: '1h', by: 'ip' }, cors },
        { path: '/closed', upstream: 'app', auth: 'public', maintenance: {}, cors },
        { path: '/office', upstream: 'app', auth: 'public', ip: { allow: ['192.0.2.0/24'] }, cors },
        { path: '/ws', upstream: 'ws', cors },
        { path: '/wsopen', upstream: 'ws' },
        { path: '/plain', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const ask = (method: string, path: string, headers: Record<string, string> = {}, sent?: string) =>
    gateway.call(path, { method, headers, ...(sent ? { token: sent } : {}) })
  const preflight = (path: string, origin: string, method: string, more: Record<string, string> = {}) =>
    ask('OPTIONS', path, { origin, 'access-control-request-method': method, ...more })
  const ours = ({ headers }: Response) =>
    Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-') || name === 'vary'))

  const answer = await preflight('/cors/x', H5, 'PATCH', { 'access-control-request-headers': 'authorization,x-other' })
  t.equal(answer.status, 204)
  t.same(ours(answer), {
    'access-control-allow-origin': H5,
    'access-control-allow-methods': 'PATCH',
    'access-control-allow-headers': 'authorization, content-type',
    'access-control-max-age': '300',
    vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'
  })
  t.match(ours(await preflight('/cookies', H5, 'GET')), {
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': 'x-csrf'
  })
  const preflights: readonly (readonly [string, string, string, number])[] = [
    ['/cors', 'http://localhost:5173', 'GET', 204],
    ['/cors', 'https://h5.example.com:8443', 'GET', 204],
    ...['https://h5.example.com.', 'https://h5.example.com:443', 'https://H5.example.com', 'http://h5.example.com']
      .concat('https://evil.example', 'https://h5.example.com.evil.example', 'https://xh5.example.com', 'null', '*')
      .concat('https://h5.example.com/', 'https://h5.example.com, https://evil.example', '')
      .map((origin) => ['/cors', origin, 'GET', 403] as const),
    // The announced method has no route.
    ['/cors', H5, 'DELETE', 405],
    // OPTIONS is no method of this route, and the request is no preflight.
    ['/cors', H5, 'patch', 405],
    // No cors on the route: an ordinary request.
    ['/plain', H5, 'GET', 200],
    ['/CORS', H5, 'GET', 404],
    // The page must be able to read the 503 of its request.
    ['/closed', H5, 'GET', 204],
    ['/office', H5, 'GET', 403]
  ]
  for (const [path, origin, method, status] of preflights) {
    const answer = await preflight(path, origin, method)
    t.equal(answer.status, status, `${method} ${path} from ${origin}`)
    if (status === 403) t.notOk(answer.headers.has('access-control-allow-origin') && origin !== H5, origin)
  }
  t.equal((await preflight('/office', H5, 'GET', { 'x-forwarded-for': '192.0.2.1' })).status, 204)
  t.same(
    new Set(upstream.seen.map(({ url }) => url)),
    new Set(['/plain']),
    'no preflight of a cors route goes upstream'
  )
  t.equal((await ask('OPTIONS', '/cors', { origin: H5 })).status, 405, 'no preflight without a method')

  const expected = {
    'access-control-allow-origin': H5,
    'access-control-expose-headers': 'retry-after, x-request-id',
    vary: 'Origin, Accept'
  }
  t.same(ours(await ask('GET', '/cors', { origin: H5 }, token)), expected)
  t.same(ours(await ask('GET', '/cors/vary', { origin: H5 }, token)), { ...expected, vary: 'Accept, origin' })
  t.same(ours(await ask('GET', '/cookies', { origin: H5 }, token)), {
    'access-control-allow-origin': H5,
    'access-control-allow-credentials': 'true',
    vary: 'Origin, Accept'
  })
  for (const origin of ['null', 'https://evil.example', 'https://h5.example.com.'])
    t.same(ours(await ask('GET', '/cors', { origin }, token)), { vary: 'Origin, Accept' }, origin)
  t.same(ours(await ask('GET', '/cors', {}, token)), { vary: 'Origin, Accept' }, 'a cache learns of the origin')
  t.match(ours(await ask('GET', '/plain', { origin: H5 })), { 'access-control-allow-origin': '*' })

  await ask('GET', '/limited')
  for (const [path, status] of [
    ['/cors', 401],
    ['/away', 502],
    ['/limited', 429],
    ['/closed', 503],
    ['/office', 403]
  ] as const) {
    const problem = await ask('GET', path, { origin: H5 })
    t.equal(problem.status, status)
    t.same(ours(problem), { ...expected, vary: 'Origin' }, `the page can read the ${status}`)
    t.same(ours(await ask('GET', path, { origin: 'https://evil.example' })), { vary: 'Origin' })
  }
  t.match(ours(await ask('POST', '/cors', { origin: H5, 'x-http-method-override': 'GET' }, token)), {
    'access-control-allow-origin': H5
  })

  const open = async (path: string, lines: string) => {
    const client = await openClient(t, gateway.port)
    client.send(handshake(path, token, lines))
    const [line = ''] = (await client.head()).split('\r\n')
    client.close()
    return Number(line.split(' ')[1])
  }
  const own = `http://127.0.0.1:${gateway.port}`
  for (const [lines, status] of [
    ['', 101],
    [`Origin: ${H5}\r\n`, 101],
    ['Origin: http://a.example\r\n', 101],
    ['Origin: https://A.EXAMPLE:443\r\n', 101],
    [`Origin: ${own}\r\n`, 403],
    ['Origin: https://shop.example\r\nX-Forwarded-Host: shop.example\r\n', 101],
    ['Origin: null\r\n', 403],
    ['Origin: https://evil.example\r\n', 403],
    [`Origin: ${H5}.\r\n`, 403],
    [`Origin: ${H5}\r\nOrigin: https://evil.example\r\n`, 403],
    ['Origin: \r\n', 403]
  ] as const) {
    t.equal(await open('/ws', lines), status, lines)
  }
  t.equal(await open('/wsopen', 'Origin: https://evil.example\r\n'), 101)
  t.ok(gateway.lines.some((line) => line.includes('"method":"OPTIONS"') && line.includes('"reason":"preflight"')))
})

const route = (rest: string) => configText({ routes: `[{ path: /a, upstream: orders, ${rest} }]` })
const origins = (...list: string[]) => route(`cors: { origins: ${JSON.stringify(list)} }`)

test('the settings of cors are checked', async (t) => {
  const rejected: readonly (readonly [string, RegExp])[] = [
    [
      origins('*'),
      /^gateway\.yaml:4:\d+ routes\[0\]\.cors\.origins\[0\]: must be one origin: a pattern .*list the origins/
    ],
    [origins('https://*.example.com'), /origins\[0\]: must be one origin/],
    [origins('null'), /origins\[0\]: must not be null/],
    [origins('https://h5.example.com/'), /not the form that browsers send \(write "https:\/\/h5\.example\.com"\)/],
    [origins('https://H5.example.com'), /\(write "https:\/\/h5\.example\.com"\)/],
    [origins('https://h5.example.com:443'), /\(write "https:\/\/h5\.example\.com"\)/],
    [origins('https://h5.example.com/app?x'), /\(write "https:\/\/h5\.example\.com"\)/],
    [origins('https://user:canary@h5.example.com'), /without credentials$/],
    [origins('h5.example.com'), /must be an origin such as https:\/\/h5\.example\.com/],
    [origins('file:///x'), /must be an origin such as/],
    [origins(H5, H5), /origins: has the same entry twice/],
    [origins(), /origins: must have at least one entry/],
    [route('cors: {}'), /cors\.origins: is missing/],
    [route(`cors: ["${H5}"]`), /cors: must be a mapping.*write \{ origins: \[https/],
    [route('cors: "*"'), /cors: must be a mapping/],
    [route(`cors: { origins: ["${H5}"], headers: ["*"] }`), /cors\.headers\[0\]: must name one header/],
    [route(`cors: { origins: ["${H5}"], methods: [GET] }`), /cors\.methods: unknown key/],
    [
      route(`cors: { origins: ["${H5}"] }, responseHeaders: { set: { access-control-allow-origin: "*" } }`),
      /responseHeaders\.set\.access-control-allow-origin: cors of this route writes the Access-Control-\* headers/
    ]
  ]
  for (const [text, says] of rejected) t.match(problems(text), [says], text)
  t.match(warnings(origins('http://h5.example.com')), [/is not https/])
  t.same(warnings(origins('http://localhost:5173', 'https://xn--fiq228c.example')), [])
})
