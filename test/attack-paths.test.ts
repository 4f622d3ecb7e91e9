/** Paths as an upstream receives them. The corpus of the self-test (attack-corpus.test.ts) has
 *  the refused ones. */
import { test } from 'tap'
import { startTarget } from './support/attack.ts'
import { exchange } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'

const long = (length: number) => `/${'a'.repeat(length - 1)}`

test('an encoded letter is decoded, matched, and forwarded decoded', async (t) => {
  const target = await startTarget(t)
  for (const path of ['/%61dmin/x', '/%61%64%6d%69%6E/x', '/admin/%78', '/admi%6e/x']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 401, path)
    t.equal(outcome.code, 'token_missing', path)
    t.same(outcome.seen, [], path)
    const allowed = await target.get(path, `Authorization: Bearer ${target.token}`)
    t.equal(allowed.status, 200, path)
    t.equal(allowed.seen[0]?.url, '/admin/x', path)
  }
  const others: [string, string][] = [
    ['/x%7Ey', '/x~y'],
    ['/x%7ey', '/x~y'],
    ['/x%2dy', '/x-y'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/x%20y', '/x%20y'],
    ['/%e5%bc%a0', '/%E5%BC%A0'],
    ['/100%25', '/100%25'],
    ["/!$&'()*+,=:@-._~[]|", "/!$&'()*+,=:@-._~[]|"]
  ]
  for (const [path, forwarded] of others) {
    t.equal((await target.get(path)).seen[0]?.url, forwarded, path)
  }
})

test('a query is passed on byte for byte', async (t) => {
  const target = await startTarget(t)
  for (const path of [
    '/x?/../admin',
    '/??a',
    '/a?b?c=1',
    '/x?a=%2e%2e%2F;//\\',
    '/x?',
    '/?x',
    '/x?%zz&%00',
    '/x?//evil'
  ]) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 200, path)
    t.equal(outcome.seen[0]?.url, path, path)
  }
})

test('OPTIONS * is answered by the gateway, and only with valid headers', async (t) => {
  const target = await startTarget(t)
  const fine = await target.attack('OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n')
  t.equal(fine.status, 204)
  t.match(fine.response?.header('allow'), /GET/)
  t.same(fine.seen, [])
  for (const lines of ['Host: a\r\nHost: b', 'X: 1', 'Host: test\r\nAuthorization: a\r\nAuthorization: b']) {
    const outcome = await target.attack(`OPTIONS * HTTP/1.1\r\n${lines}\r\n\r\n`)
    t.equal(outcome.status, 400, lines)
    t.equal(outcome.code, 'bad_header', lines)
  }
  t.equal((await target.attack('OPTIONS *x HTTP/1.1\r\nHost: test\r\n\r\n')).status, 400)
  t.equal((await target.attack('POST * HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n')).status, 400)
})

test('three or more dots are an ordinary name', async (t) => {
  const target = await startTarget(t)
  for (const path of ['/.../admin', '/x/...', '/x/..../admin', '/...', '/x/...y', '/.well', '/x/.hidden', '/x/..y']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 200, path)
    t.equal(outcome.seen[0]?.url, path, path)
  }
})

test('a target at the limit is served, one byte more is not', async (t) => {
  const target = await startTarget(t)
  const outcome = await target.get(long(8 * 1024))
  t.equal(outcome.status, 200)
  t.equal(outcome.seen[0]?.url, long(8 * 1024))
  t.equal((await target.get(long(8 * 1024 + 1))).status, 414)
})

test('a target far above the limit is 414, in any number of packets', async (t) => {
  const target = await startTarget(t)
  const pieces = ['GET ', long(20_000), long(60_000), ' HTTP/1.1\r\nHost: test\r\n\r\n']
  const slow = await target.attack(pieces)
  t.equal(slow.status, 414)
  const second = await exchange(
    target.gateway.port,
    `GET /x HTTP/1.1\r\nHost: t\r\n\r\nGET ${long(60_000)} HTTP/1.1\r\n\r\n`,
    {
      count: 2
    }
  )
  t.same(
    second.responses.map(({ status }) => status),
    [200, 414]
  )
})

test('a prefix ends where a segment ends', async (t) => {
  const target = await startTarget(t)
  for (const path of [
    '/adminx',
    '/admin-x',
    '/x.admin',
    '/admin~',
    '/admi',
    '/x/admin',
    '/admin,x',
    '/admin=x',
    '/admin%40'
  ]) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 200, path)
    t.equal(outcome.seen[0]?.url, path, path)
  }
})

const STRIPPING = [
  { path: '/canary', upstream: 'app', auth: 'public' },
  { path: '/api/secret', upstream: 'app', auth: 'required', stripPrefix: '/api' },
  { path: '/api', upstream: 'app', auth: 'public', stripPrefix: '/api' },
  { path: '/v/1', upstream: 'app', auth: 'public', stripPrefix: '/v' }
]

test('stripping a prefix leaves a path, never an authority', async (t) => {
  const target = await startTarget(t, { config: { routes: STRIPPING } })
  for (const path of [
    '/api/%2e%2e/internal',
    '/api//evil.com/x',
    '/api/\\evil.com',
    '/api/%5cevil.com',
    '/api/http://evil/x',
    '/api%2f%2fevil.com',
    '/api/..',
    '/v/%2e',
    '/api;/x',
    '/api/.%2e/v',
    '/api/%2f/evil.com'
  ]) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 400, path)
    t.same(outcome.seen, [], path)
  }
  for (const [path, forwarded] of [
    ['/api/@evil.com', '/@evil.com'],
    ['/api/evil.com:80', '/evil.com:80'],
    ['/api/x', '/x'],
    ['/api/', '/'],
    ['/api', '/'],
    ['/api/api/x', '/api/x'],
    ['/v/1', '/1']
  ] as const) {
    const outcome = await target.get(path)
    t.equal(outcome.seen[0]?.url, forwarded, path)
    t.equal(outcome.seen[0]?.headers.host, `127.0.0.1:${target.upstream.port}`, path)
  }
  t.equal((await target.get('/apix')).status, 404)
  t.equal((await target.get('/api/SECRET')).status, 404)
})

test('upstreams whose address and path join to the same text are still two', async (t) => {
  const one = await startUpstream(t)
  const two = await startUpstream(t)
  const config = {
    upstreams: { one: { targets: [{ url: one.url }] }, two: { targets: [{ url: two.url }] } },
    routes: [
      { path: '/one', upstream: 'one', auth: 'public', stripPrefix: '/one' },
      { path: '/two', upstream: 'two', auth: 'public', stripPrefix: '/two' }
    ]
  }
  const target = await startTarget(t, {
    config: { ...config, routes: [...config.routes, { path: '/', upstream: 'one', auth: 'public' }] }
  })
  for (const path of ['/one/1/private', '/two/1/private', '/one/1/private']) {
    await exchange(target.gateway.port, `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`)
  }
  t.same(
    one.seen.map(({ url }) => url),
    ['/1/private', '/1/private']
  )
  t.same(
    two.seen.map(({ url }) => url),
    ['/1/private']
  )
})

test('a header that names another path, a User-Agent or a forwarded prefix changes neither path nor verdict', async (t) => {
  const target = await startTarget(t)
  for (const line of [
    'X-Forwarded-Uri: /public',
    'X-Original-URL: /public',
    'X-Rewrite-URL: /public',
    'X-Forwarded-Path: /public',
    'X-Original-URI: /public',
    'X-Forwarded-Method: OPTIONS',
    'X-HTTP-Method-Override: OPTIONS',
    'User-Agent: GoogleHC/1.0',
    'X-Forwarded-Prefix: /admin',
    'X-Accel-Redirect: /public'
  ]) {
    const open = await target.get('/public', line)
    t.equal(open.seen[0]?.url, '/public', line)
    const verify = await exchange(target.gateway.servicePort, `GET /auth/verify HTTP/1.1\r\nHost: t\r\n${line}\r\n\r\n`)
    t.equal(verify.responses[0]?.status, 401, `verify with ${line}`)
  }
})

test('the prefix is stripped from its own path too, and the query stays', async (t) => {
  const target = await startTarget(t, { config: { routes: STRIPPING } })
  for (const [path, forwarded] of [
    ['/api?x=1', '/?x=1'],
    ['/api/?x=1', '/?x=1'],
    ['/api?', '/?'],
    ['/api?/../x', '/?/../x']
  ] as const) {
    t.equal((await target.get(path)).seen[0]?.url, forwarded, path)
  }
})

test('own paths belong to the gateway in every spelling, and no upstream answers for them', async (t) => {
  const target = await startTarget(t, {
    config: {
      routes: [
        {
          path: '/',
          upstream: 'app',
          auth: 'public',
          allow: { encodedSlash: true, matrixParams: true, doubleEncoding: true },
          caseSensitive: true
        }
      ]
    }
  })
  for (const path of [
    '/AUTH/login',
    '/Auth',
    '/auth',
    '/auth/',
    '/auth/nothing',
    '/auth%2flogin',
    '/auth%2Flogin',
    '/auth;a=b/login',
    '/auth%3b/login',
    '/%2561uth/login',
    '/auth/../',
    '/auth/..',
    '/LIVEZ',
    '/livez/',
    '/readyz/',
    '/livez;a',
    '/WeChat/push/x',
    '/wechat%2Fpush',
    '/.Well-Known/jwks.json',
    '/.well-known%2Fjwks.json',
    '/%EF%BD%81uth/login'
  ]) {
    const outcome = await target.get(path)
    t.match(String(outcome.status), /^40[04]$/, path)
    t.same(outcome.seen, [], path)
  }
  t.equal((await target.get('/%6civez')).status, 200)
  t.equal((await target.get('/%6civez')).seen.length, 0)
  const login = await target.attack(
    'POST /%61uth/login HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n{"code":"sandbox-mallet"}'
  )
  t.equal(login.status, 200)
  for (const path of ['/authx', '/author/x', '/x/auth/login', '/livezz', '/.well-known/other']) {
    t.equal((await target.get(path)).seen[0]?.url, path, path)
  }
})
