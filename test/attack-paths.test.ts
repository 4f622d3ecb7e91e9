/** Family P of the attack corpus: paths that two servers read in two ways. */
import { test } from 'tap'
import { type AttackOptions, startTarget, type Target } from './support/attack.ts'
import { exchange } from './support/raw-http.ts'
import { startUpstream } from './support/upstream.ts'

/** What the upstream must receive; null: nothing. */
interface Row {
  readonly id: string
  readonly rule: string
  readonly targets: readonly string[]
  readonly status: number
  readonly code?: string
  readonly method?: string
  readonly options?: AttackOptions
}

const long = (length: number) => `/${'a'.repeat(length - 1)}`

const refused: readonly Row[] = [
  {
    id: 'P01',
    rule: 'a "." segment is refused, not resolved',
    targets: ['/./admin/x', '/.', '/./', '/x/./y', '/./public/../admin/x', '/././admin', '/x/.?y=1'],
    status: 400
  },
  {
    id: 'P02',
    rule: 'an encoded "." segment is refused',
    targets: ['/%2e/admin/x', '/%2E/admin/x', '/x/%2e/admin', '/%2e', '/x/%2E?y'],
    status: 400
  },
  {
    id: 'P03',
    rule: 'a backslash is refused',
    targets: ['/.\\admin/x', '/\\admin/x', '\\admin\\x', '/x\\y', '/admin\\x', '/x/\\', '\\\\evil.com\\admin'],
    status: 400
  },
  {
    id: 'P04',
    rule: 'a dot before an empty segment is refused',
    targets: ['/.//admin/x', '/.//', '/%2e//x'],
    status: 400
  },
  {
    id: 'P06',
    rule: 'an empty segment is refused',
    targets: ['//admin/x', '///admin', '//evil.com/admin', '/x//admin', '/admin//x', '//', '/x//', '/admin//?x'],
    status: 400
  },
  {
    id: 'P07',
    rule: 'a ".." segment is refused however it is spelled',
    targets: [
      '/x/../admin/x',
      '/x/%2e%2e/admin/x',
      '/x/.%2e/admin/x',
      '/x/%2e./admin/x',
      '/x/%2E%2E/admin',
      '/../admin',
      '/x/y/../../admin',
      '/x/..',
      '/..',
      '/x/..?/admin'
    ],
    status: 400
  },
  {
    id: 'P08',
    rule: 'a ".." beside an encoded slash or a backslash is refused',
    targets: [
      '/x/..%2fadmin/x',
      '/x%2f..%2fadmin/x',
      '/x/..%5cadmin',
      '/x\\..\\admin/x',
      '/x/%5c../admin',
      '/x%2F..%5Cadmin',
      '/x/%2e%2e%2fadmin',
      '/x/%2e%2e%5cadmin',
      '/x%5c..%5cadmin',
      '/%2e%2e%2f%2e%2e%2fadmin'
    ],
    status: 400
  },
  {
    id: 'P09',
    rule: 'an encoded slash is refused',
    targets: [
      '/admin%2fx',
      '/admin%2Fx',
      '/%2fadmin/x',
      '/%2Fadmin%2Fx',
      '/x/%2f',
      '/%2f%2fadmin',
      '/admin%5cx',
      '/%5Cadmin'
    ],
    status: 400
  },
  {
    id: 'P10',
    rule: 'a matrix parameter is refused',
    targets: [
      '/admin;/x',
      '/admin;a=b/x',
      '/;/admin/x',
      '/.;/admin/x',
      '/admin%3b/x',
      '/admin%3Ba=b/x',
      '/;a=b/admin',
      '/x;',
      '/;',
      '/x;jsessionid=1?y=2'
    ],
    status: 400
  },
  {
    id: 'P11',
    rule: 'a ".." with a matrix parameter is refused',
    targets: [
      '/x/..;/admin/x',
      '/..;/admin',
      '/x/..;a=b/admin',
      '/x/%2e%2e;/admin',
      '/x/..%3b/admin',
      '/x/.;/../admin'
    ],
    status: 400
  },
  {
    id: 'P13',
    rule: 'what was encoded twice is refused',
    targets: [
      '/%2561dmin/x',
      '/%252e%252e/admin',
      '/x/%252e%252e/admin/x',
      '/%25%32%65%25%32%65/admin',
      '/x/%25252e%25252e/admin',
      '/x%252fadmin',
      '/%25%36%31dmin',
      '/%2%35%36%31dmin',
      '/x%25u002e/admin'
    ],
    status: 400
  },
  {
    id: 'P14',
    rule: 'an encoded control character is refused',
    targets: [
      '/admin%00/x',
      '/%00/admin',
      '/admin%0a',
      '/admin%0d%0aX:1',
      '/admin%7f/x',
      '/admin%1f',
      '/x%00.jpg',
      '/admin%0D',
      '/admin%C2%85/x'
    ],
    status: 400
  },
  {
    id: 'P15',
    rule: 'a segment that ends in a dot or a space is refused',
    targets: [
      '/admin%20/x',
      '/admin%09',
      '/admin./x',
      '/admin%c2%a0',
      '/admin.',
      '/admin../x',
      '/admin%2e/x',
      '/admin%20',
      '/admin.%20/x',
      '/admin%20./x',
      '/%20/admin',
      '/admin%e3%80%80/x',
      '/x/admin%20%20?y'
    ],
    status: 400
  },
  {
    id: 'P16',
    rule: 'bytes that are no UTF-8 and triplets that are none are refused',
    targets: [
      '/%c0%ae%c0%ae/admin',
      '/x/%e0%80%ae/admin',
      '/%ff',
      '/%zz',
      '/%',
      '/%u002e/admin',
      '/%c0%af',
      '/%c1%9c',
      '/%ed%a0%80',
      '/%f8%80%80%80%af',
      '/%f4%90%80%80',
      '/x%',
      '/x%2',
      '/x%2?y',
      '/%c3',
      '/%c3/%a9',
      '/%-1',
      '/%0x41'
    ],
    status: 400
  },
  {
    id: 'P17',
    rule: 'a step at the end of a protected path is refused',
    targets: ['/admin/.', '/admin/%2e', '/admin/..', '/admin/%2e%2e', '/admin/../', '/admin/./'],
    status: 400
  },
  {
    id: 'P18',
    rule: 'a fragment is refused wherever it stands',
    targets: ['/x#/../admin', '/#/../admin', '/admin#x', '/x?y#/admin', '#/admin', '/x%23/../admin'],
    status: 400
  },
  {
    id: 'P20',
    rule: 'the absolute form is refused, whatever its authority',
    targets: [
      'http://evil/admin/x',
      'http://evil/public',
      'http://test/public',
      'https://test/x',
      'HTTP://test/x',
      'http:/x',
      'file:///etc/passwd',
      'evil:80'
    ],
    status: 400
  },
  {
    id: 'P21',
    rule: 'a target that does not start with "/" is refused',
    targets: ['*', '?x=/admin', '*/x', 'admin'],
    status: 400
  },
  {
    id: 'P22',
    rule: 'raw bytes beyond ASCII are refused',
    targets: ['/é', '/ａdmin', '/admin\u00a0', '/\u2025/admin', '/x/\u00ff'].map((text) => latin1(text)),
    status: 400
  },
  { id: 'P23', rule: 'dots do not excuse an empty segment', targets: ['/x/....//admin', '/...//admin'], status: 400 },
  {
    id: 'P24',
    rule: 'a target above the limit is 414',
    targets: [long(9_000), long(8_193), `/x?${long(9_000)}`, long(30_000), long(100_000)],
    status: 414,
    code: 'uri_too_long'
  }
]

/** UTF-8 bytes, as the socket is written in latin1. */
function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

for (const { id, rule, targets, status, code = 'bad_path' } of refused) {
  test(`${id} ${rule}`, async (t) => {
    const target = await startTarget(t)
    for (const path of targets) {
      const label = path.slice(0, 60)
      const outcome = await target.get(path)
      t.equal(outcome.status, status, label)
      // What Node's parser refuses has no path that could be blamed.
      t.match(outcome.code, new RegExp(`^(?:${code}|invalid_request)$`), label)
      t.same(outcome.seen, [], `nothing upstream for ${label}`)
      const withToken = await target.get(path, `Authorization: Bearer ${target.token}`)
      t.equal(withToken.status, status, `with a token: ${label}`)
      t.same(withToken.seen, [], `nothing upstream with a token for ${label}`)
    }
    await stillServes(target)
  })
}

test('P05 another case of a protected path never reaches the public rule', async (t) => {
  const target = await startTarget(t)
  for (const path of ['/ADMIN/x', '/Admin/x', '/aDmIn', '/ADMIN', '/ADMIN/X?y=1', '/%41dmin', '/%41DMIN/x']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 404, path)
    t.equal(outcome.code, 'no_route', path)
    t.same(outcome.seen, [], path)
  }
  const free = await target.get('/ADMINX/Y')
  t.equal(free.seen[0]?.url, '/ADMINX/Y')
})

test('P05 look-alikes that some server folds to a protected path never reach the public rule', async (t) => {
  const target = await startTarget(t)
  for (const path of [
    '/%EF%BD%81dmin/x', // fullwidth a
    '/%EF%BC%A1DMIN', // fullwidth A
    '/adm%C4%B1n/x', // dotless i, whose capital is I
    '/%E2%93%90dmin', // a in a circle
    '/ad%E2%80%8Bmin/x', // zero width space
    '/admin%E2%80%82/x', // en space
    '/%20admin/x',
    '/admin::$DATA',
    '/admin:$i30:$INDEX_ALLOCATION/x',
    '/admin+/x',
    '/admin%EF%BC%9Ba=b/x', // fullwidth semicolon
    '/admin%EF%BC%8Fx', // fullwidth solidus
    '/x%EF%BC%8F%EF%BC%8E%EF%BC%8E%EF%BC%8Fadmin', // the same around two fullwidth dots
    '/%EF%BC%8E%EF%BC%8E/admin'
  ]) {
    const outcome = await target.get(path)
    t.match(String(outcome.status), /^40[04]$/, path)
    t.same(outcome.seen, [], path)
  }
})

test('P12 an encoded letter is decoded, matched, and forwarded decoded', async (t) => {
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

test('P19 a query is passed on byte for byte and never takes part in matching', async (t) => {
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
  for (const path of ['/admin?x=/public', '/admin/x?/../public', '/admin?', '/admin/?;/public']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 401, path)
    t.same(outcome.seen, [], path)
  }
})

test('P21 OPTIONS * is answered here, and only when its headers are in order', async (t) => {
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

test('P23 three dots and more are a name like any other', async (t) => {
  const target = await startTarget(t)
  for (const path of ['/.../admin', '/x/...', '/x/..../admin', '/...', '/x/...y', '/.well', '/x/.hidden', '/x/..y']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 200, path)
    t.equal(outcome.seen[0]?.url, path, path)
  }
})

test('P24 a target at the limit is served, one byte more is not', async (t) => {
  const target = await startTarget(t)
  const outcome = await target.get(long(8 * 1024))
  t.equal(outcome.status, 200)
  t.equal(outcome.seen[0]?.url, long(8 * 1024))
  t.equal((await target.get(long(8 * 1024 + 1))).status, 414)
})

test('P24 a target far above the limit is 414 in whatever pieces it comes', async (t) => {
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

test('P25 a prefix ends where a segment ends', async (t) => {
  const target = await startTarget(t)
  for (const path of ['/admin', '/admin/', '/admin/x', '/admin?x', '/admin/?x', '/admin/adminx']) {
    const outcome = await target.get(path)
    t.equal(outcome.status, 401, path)
    t.same(outcome.seen, [], path)
  }
  for (const path of [
    '/adminx',
    '/admin-x',
    '/admin.x',
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

test('P26 stripping a prefix leaves a path, never an authority', async (t) => {
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

test('P27 two upstreams whose address and path run together are still two', async (t) => {
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

const DISGUISES = [
  'X-Forwarded-Uri: /public',
  'X-Original-URL: /public',
  'X-Rewrite-URL: /public',
  'X-Forwarded-Path: /public',
  'X-Original-URI: /public',
  'X-Forwarded-Method: OPTIONS',
  'X-HTTP-Method-Override: OPTIONS',
  'User-Agent: GoogleHC/1.0',
  'User-Agent: kube-probe/1.30',
  'X-Forwarded-Prefix: /admin',
  'X-Forwarded-Prefix: /public, /admin',
  'X-Forwarded-Port: 1',
  'X-Accel-Redirect: /public'
]
const rows = { P28: [0, 7], P29: [7, 9], P30: [9, DISGUISES.length] } as const
const rules = {
  P28: 'a header that names another path changes nothing',
  P29: 'a User-Agent opens nothing',
  P30: 'a forwarded prefix opens nothing'
}
for (const id of ['P28', 'P29', 'P30'] as const) {
  test(`${id} ${rules[id]}`, async (t) => {
    const target = await startTarget(t)
    for (const line of DISGUISES.slice(...rows[id])) {
      const outcome = await target.get('/admin/x', line)
      t.equal(outcome.status, 401, line)
      t.same(outcome.seen, [], line)
      const open = await target.get('/public', line)
      t.equal(open.seen[0]?.url, '/public', line)
      const [name = ''] = line.split(':')
      if (!/^(?:user-agent|x-accel-redirect)$/i.test(name)) t.notOk(open.seen[0]?.headers[name.toLowerCase()], line)
      const verify = await exchange(
        target.gateway.servicePort,
        `GET /auth/verify HTTP/1.1\r\nHost: t\r\n${line}\r\n\r\n`
      )
      t.equal(verify.responses[0]?.status, 401, `verify with ${line}`)
    }
  })
}

test('P31 the prefix is stripped from its own path too, and the query stays', async (t) => {
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

test('own paths are ours in every spelling, and no upstream answers for them', async (t) => {
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

async function stillServes(target: Target): Promise<void> {
  const response = await target.gateway.call('/livez')
  if (response.status !== 200) throw new Error('the gateway no longer answers')
}
