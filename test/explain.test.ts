/** wxgate explain answers with the code that would serve the request. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { run } from '../src/cli/explain.ts'
import type { Explanation } from '../src/proxy/explain/explanation.ts'
import { startTarget } from './support/attack.ts'
import { APPID, buildTestGateway, defaultConfig } from './support/gateway.ts'
import { exchange } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'

const ROUTES = `routes:
  - path: /
    upstream: app
    auth: public
  - path: /admin
    upstream: app
  - path: /admin/read
    methods: [GET]
    upstream: app
    auth: optional
    stripPrefix: /admin
    requestHeaders: { set: { X-Tenant: shop }, remove: [X-Debug] }
`

/** A folder with a gateway.yaml that equals the test gateway's except for the routes. */
function folder(t: Test, routes = ROUTES, changes: Record<string, unknown> = {}): string {
  const path = mkdtempSync(join(tmpdir(), 'wxgate-explain-'))
  t.teardown(() => rmSync(path, { recursive: true }))
  const { routes: _, ...config } = { ...defaultConfig('http://127.0.0.1:9'), ...changes }
  const sections = Object.entries(config).map(([key, value]) => `${key}: ${JSON.stringify(value)}\n`)
  writeFileSync(join(path, 'gateway.yaml'), sections.join('') + routes)
  return path
}

async function call(cwd: string, ...args: string[]) {
  let [stdout, stderr] = ['', '']
  const status = await run(args, {
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
    env: {},
    cwd
  })
  return { status, stdout, stderr }
}

async function explained(cwd: string, ...args: string[]): Promise<Explanation> {
  const { status, stdout, stderr } = await call(cwd, ...args, '--format', 'json')
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Explanation
}

test('explain names the route, its line, and the routes that were less specific', async (t) => {
  const cwd = folder(t)
  const explanation = await explained(cwd, 'GET', '/admin/re%61d/42?x=%2e')
  t.match(explanation, {
    path: '/admin/read/42',
    route: { path: '/admin/read', upstream: 'app', auth: 'optional', methods: ['GET'] },
    why: 'the longest path that covers it',
    outcome: 'forwarded',
    answer: null,
    auth: { verdict: 'anonymous', principal: null },
    upstream: { name: 'app', method: 'GET', path: '/read/42?x=%2e' }
  })
  t.same(
    explanation.alsoCovering.map(({ path }) => path),
    ['/admin', '/']
  )
  const lines = (await import('node:fs')).readFileSync(join(cwd, 'gateway.yaml'), 'utf8').split('\n')
  const line = lines.findIndex((text) => text.includes('path: /admin/read')) + 1
  t.equal(explanation.route?.place, `gateway.yaml:${line}`)
})

test("explain without a token shows the upstream's request for a user with one", async (t) => {
  const routes = `routes:
  - { path: /api, upstream: app, stripPrefix: /api }
  - { path: /cloud, upstream: app, identity: { headers: cloudrun } }
  - { path: /wafer, upstream: app, identity: { headers: wafer }, channel: true }
`
  const cwd = folder(t, routes)
  const note = async (path: string) => (await explained(cwd, 'GET', path)).auth.notes.join()
  t.match(await note('/api/orders?x=1'), 'a token that is accepted app gets GET /orders?x=1, and X-OpenId with it')
  t.match(await note('/cloud/orders'), 'GET /cloud/orders, and X-WX-OPENID with it')
  t.match(await note('/wafer/orders'), 'and X-WX-Skey with it,the request has to be encrypted (channel)')
})

test('explain shows every header that goes upstream, and the reason for every removed one', async (t) => {
  const cwd = folder(t)
  const headers = [
    'X-OpenId: EVIL',
    'x_openid: EVIL',
    'X-Tenant: EVIL',
    'X-Debug: 1',
    'Accept: */*',
    'Connection: X-Hop',
    'X-Hop: 1',
    'X-Forwarded-For: 6.6.6.6',
    'Keep-Alive: 5',
    'X-HTTP-Method-Override: PUT',
    'X-Real-IP: 6.6.6.6',
    'Host: shop.example'
  ]
  const explanation = await explained(cwd, 'GET', '/admin/read', ...headers.flatMap((line) => ['-H', line]))
  t.same(
    explanation.upstream?.headers.map(([name]) => name),
    [
      'Accept',
      'X-Tenant',
      'X-Request-Id',
      'X-Forwarded-For',
      'X-Forwarded-Proto',
      'X-Forwarded-Host',
      'X-Forwarded-Prefix',
      'traceparent',
      'CDN-Loop'
    ]
  )
  t.notMatch(JSON.stringify(explanation.upstream), /EVIL|6\.6\.6\.6/)
  const why = Object.fromEntries(explanation.stripped.map((entry) => [entry.name, entry.why]))
  t.match(why, {
    'X-OpenId': /only the gateway/,
    x_openid: /"_"/,
    'X-Tenant': /a route/,
    'X-Debug': /the route removes it/,
    Connection: /one connection/,
    'X-Hop': /Connection names it/,
    'X-Forwarded-For': /the gateway writes it/,
    'Keep-Alive': /one connection/,
    'X-HTTP-Method-Override': /obey/,
    'X-Real-IP': /trusted proxy/,
    Host: /its own/
  })
})

test('explain trusts a proxy as the gateway would', async (t) => {
  const cwd = folder(t, ROUTES, { server: { host: '127.0.0.1', port: 1, trustedProxies: ['10.0.0.0/8'] } })
  const args = ['GET', '/x', '-H', 'X-Forwarded-For: 203.0.113.7', '-H', 'X-Real-IP: 203.0.113.7']
  const from = async (address: string) => explained(cwd, ...args, '--from', address)
  const trusted = await from('10.1.2.3')
  t.ok(trusted.request.isTrusted)
  t.match(
    new Map(trusted.upstream?.headers),
    new Map([
      ['X-Forwarded-For', '203.0.113.7, 10.1.2.3'],
      ['X-Real-IP', '203.0.113.7']
    ])
  )
  const other = await from('203.0.113.9')
  t.notOk(other.request.isTrusted)
  t.match(new Map(other.upstream?.headers), new Map([['X-Forwarded-For', '203.0.113.9']]))
})

test('explain verifies a token offline, and names what it cannot know', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('explained')
  const cwd = folder(t)
  const explanation = await explained(cwd, 'GET', '/admin/x', '-H', `Authorization: Bearer ${token}`)
  t.match(explanation, {
    outcome: 'forwarded',
    auth: {
      verdict: 'token',
      principal: { app: APPID, status: 'anonymous' },
      notes: [/whether the session was ended is not known/]
    }
  })
  t.ok(explanation.upstream?.headers.some(([name]) => name === 'X-OpenId'))
  t.notMatch(JSON.stringify(explanation), token)
  const changed = `${token.slice(0, -4)}AAAA`
  t.match(await explained(cwd, 'GET', '/admin/x', '-H', `Authorization: Bearer ${changed}`), {
    outcome: 'refused',
    answer: { status: 401, code: 'token_invalid' },
    upstream: null
  })
  t.match(await explained(cwd, 'GET', '/x', '-H', `Authorization: Bearer ${changed}`), {
    outcome: 'forwarded',
    auth: { verdict: 'public', notes: [/not looked at/] }
  })
  t.match(await explained(cwd, 'GET', '/admin/x'), { answer: { status: 401, code: 'token_missing' } })
})

test("explain shows the gateway's request header for header", async (t) => {
  const target = await startTarget(t, {
    config: {
      routes: [
        { path: '/', upstream: 'app', auth: 'public' },
        { path: '/admin', upstream: 'app' },
        {
          path: '/admin/read',
          upstream: 'app',
          methods: ['GET'],
          auth: 'optional',
          stripPrefix: '/admin',
          requestHeaders: { set: { 'X-Tenant': 'shop' }, remove: ['X-Debug'] }
        }
      ]
    }
  })
  const cwd = folder(t)
  const bearer = `Authorization: Bearer ${target.token}`
  const rows: [string, string, string[]][] = [
    ['GET', '/admin/x?y', [bearer, 'X-OpenId: EVIL', 'Cookie: a=b']],
    ['GET', '/admin/read/1', ['X-Debug: 1', 'Connection: Cookie', 'Cookie: a']],
    ['POST', '/admin/read/1', [bearer]],
    ['GET', '/x/%7e', ['TE: trailers', 'X-A: 1', 'x-a: 2', 'X-Empty:']],
    ['GET', '/ADMIN', []],
    ['GET', '/admin', []],
    ['GET', '/x/../admin', []],
    ['GET', '/admin%2fx', [bearer]],
    ['GET', '/x', ['Host: a', 'Host: b']],
    ['GET', '/x', ['Authorization: a', 'Authorization: b']],
    ['TRACE', '/x', []],
    ['GET', '*', []],
    ['GET', 'http://a/x', []],
    ['GET', `/${'a'.repeat(9_000)}`, []],
    ['GET', '/x', [`X-Big: ${'a'.repeat(17_000)}`]],
    ['DELETE', '/admin/read', [bearer]],
    ['GET', '/x;y', []],
    ['GET', '/é', []]
  ]
  await t.rejects(explained(cwd, 'BREW', '/x'), /there is no method "BREW"/)
  const volatile = /^(?:x-request-id|traceparent|cdn-loop|host|connection)$/i
  for (const [method, path, headers] of rows) {
    const label = `${method} ${path.slice(0, 40)} ${headers.join(' | ').slice(0, 60)}`
    const explanation = await explained(
      cwd,
      method,
      path,
      '--from',
      '127.0.0.1',
      ...headers.flatMap((line) => ['-H', line])
    )
    const lines = headers.some((line) => line.startsWith('Host')) ? headers : ['Host: localhost', ...headers]
    const from = target.upstream.seen.length
    const bytes = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'utf8')
    const { responses } = await exchange(target.gateway.port, bytes)
    const [seen] = target.upstream.seen.slice(from)
    if (explanation.answer) {
      t.equal(responses[0]?.status, explanation.answer.status, label)
      t.equal((JSON.parse(responses[0]?.body ?? '{}') as { code: string }).code, explanation.answer.code, label)
      t.equal(seen, undefined, label)
      continue
    }
    t.equal(seen?.url, explanation.upstream?.path, label)
    const real = (seen?.rawHeaders ?? []).flatMap((name, index, all) =>
      index % 2 === 0 && !volatile.test(name) ? [[name, all[index + 1]]] : []
    )
    t.same(
      real,
      explanation.upstream?.headers.filter(([name]) => !volatile.test(name)),
      label
    )
  }
})

test('explain shows the options of a route: variant, method, preflight, refusals, and masks credentials', async (t) => {
  const routes = `routes:
  - path: /v
    upstream: app
    auth: public
    methodOverride: true
    cors: { origins: [https://h5.example.com] }
    variants: [{ upstream: canary, header: { X-Canary: "1" } }]
  - { path: /office, upstream: app, auth: public, ip: { allow: [10.0.0.0/8] } }
  - { path: /closed, upstream: app, auth: public, maintenance: { allow: [10.0.0.0/8] } }
`
  const upstreams = {
    app: { targets: [{ url: 'http://127.0.0.1:9' }] },
    canary: {
      targets: [{ url: 'http://127.0.0.1:9' }],
      host: 'canary.internal',
      headers: { Authorization: 'Basic canary-credential', 'X-Key': 'canary-key' }
    }
  }
  const cwd = folder(t, routes, { upstreams })
  const canary = ['-H', 'X-Canary: 1', '-H', 'x-key: EVIL', '-H', 'X-HTTP-Method-Override: patch']
  const explanation = await explained(cwd, 'POST', '/v/x', ...canary)
  t.match(explanation, {
    route: { path: '/v', upstream: 'app' },
    outcome: 'forwarded',
    upstream: { name: 'canary', isVariant: true, method: 'PATCH', path: '/v/x' }
  })
  const sent = Object.fromEntries(explanation.upstream?.headers ?? [])
  t.match(sent, { Host: 'canary.internal', Authorization: '***', 'X-Key': '***', 'X-Canary': '1' })
  t.notMatch(JSON.stringify(explanation), /canary-credential|canary-key|EVIL/)
  const why = Object.fromEntries(explanation.stripped.map((entry) => [entry.name, entry.why]))
  t.match(why, { 'X-HTTP-Method-Override': /methodOverride applies it/, 'x-key': /upstream sets it/ })
  const { stdout } = await call(cwd, 'POST', '/v/x', ...canary)
  t.match(stdout, /upstream {5}canary, a variant, gets PATCH \/v\/x/)
  t.notMatch(stdout, /canary-credential|canary-key/)
  t.match(await explained(cwd, 'POST', '/v'), { upstream: { name: 'app', isVariant: false, method: 'POST' } })

  const preflight = (origin: string) => ['-H', `Origin: ${origin}`, '-H', 'Access-Control-Request-Method: PUT']
  t.match(await explained(cwd, 'OPTIONS', '/v', ...preflight('https://h5.example.com')), {
    route: { path: '/v' },
    outcome: 'own',
    answer: null,
    upstream: null,
    auth: { verdict: 'preflight', notes: [/answers the preflight itself/] }
  })
  const refusals: readonly (readonly [string[], number, string])[] = [
    [['OPTIONS', '/v', ...preflight('https://evil.example')], 403, 'forbidden'],
    [['GET', '/office'], 403, 'forbidden'],
    [['GET', '/closed'], 503, 'maintenance'],
    [['POST', '/v', '-H', 'X-HTTP-Method-Override: GET'], 400, 'bad_header']
  ]
  for (const [args, status, code] of refusals)
    t.match(
      await explained(cwd, ...args),
      { outcome: 'refused', answer: { status, code }, upstream: null },
      args.join(' ')
    )
  for (const path of ['/office', '/closed'])
    t.match(await explained(cwd, 'GET', path, '--from', '10.1.2.3'), { outcome: 'forwarded' }, path)
})

test('explain knows own paths and paths that look like another', async (t) => {
  const cwd = folder(t)
  for (const path of ['/auth/login', '/livez', '/AUTH/x', '/wechat/push/x'])
    t.match(
      await explained(cwd, 'POST', path),
      { outcome: 'own', route: null, upstream: null, auth: { verdict: 'own' } },
      path
    )
  t.match(await explained(cwd, 'GET', '/ADMIN/x'), {
    outcome: 'refused',
    answer: { status: 404, code: 'no_route' },
    why: /\/ would take it, but a server that ignores case/
  })
  t.match(await explained(cwd, 'GET', '/x%2Fadmin'), {
    answer: { status: 400, code: 'bad_path' },
    why: /encoded slash/
  })
  t.match(await explained(cwd, 'CONNECT', 'a:1'), { answer: { status: 405, code: 'method_not_allowed' } })
  t.match(await explained(cwd, 'OPTIONS', '*'), { outcome: 'own' })
})

test('explain in text is for people, and no control sequence reaches the terminal', async (t) => {
  const cwd = folder(t)
  const { status, stdout } = await call(cwd, 'GET', '/admin/read/1', '-H', 'X-OpenId: EVIL')
  t.equal(status, 0)
  t.match(stdout, /^request +GET \/admin\/read\/1\n/)
  t.match(stdout, /^route +\/admin\/read \[GET\] {2}gateway\.yaml:\d+ {2}optional, to app$/m)
  t.match(stdout, /^also +\/admin {2}gateway\.yaml:\d+/m)
  t.match(stdout, /^auth +optional: anonymous$/m)
  t.match(stdout, /^upstream +app gets GET \/read\/1$/m)
  t.match(stdout, /^ +X-Tenant: shop$/m)
  t.match(stdout, /^stripped\n.*^ +X-OpenId: only the gateway names the user$/ms)
  const hostile = await call(cwd, 'GET', '/x\u001b[2J', '-H', 'X-A: \u001b[31m\u009b')
  t.notOk(hostile.stdout.includes('\u001b') || hostile.stdout.includes('\u009b'))
  t.match(hostile.stdout, /^answer +400 bad_path/m)
})

test('explain creates nothing, not even a generated secret', async (t) => {
  const cwd = folder(t, ROUTES, { secrets: ['generated'], store: 'sqlite:./data/wxgate.db' })
  t.match(await explained(cwd, 'GET', '/admin', '-H', 'Authorization: Bearer a.b.c'), {
    answer: { code: 'token_invalid' },
    auth: { notes: [/has not made its secret yet/] }
  })
  t.same(readdirSync(cwd), ['gateway.yaml'])
})

test('a wrong command line or configuration exits 2', async (t) => {
  const cwd = folder(t)
  for (const args of [
    [],
    ['GET'],
    ['GET', '/x', 'more'],
    ['GET', '/x', '-H', 'no colon'],
    ['GET', '/x', '--format', 'xml'],
    ['GET', '/x', '--nope'],
    ['GET', '/x', '--from', 'here']
  ]) {
    t.match(await call(cwd, ...args), { status: 2, stdout: '', stderr: /Usage: wxgate explain/ }, args.join(' '))
  }
  t.match(await call(cwd, 'GET', '/x', '-c', 'none.yaml'), { status: 2, stderr: /there is no such file/ })
  t.match(await call(folder(t, 'routes: [{ path: x, upstream: app }]\n'), 'GET', '/x'), {
    status: 2,
    stderr: /gateway\.yaml:\d+:\d+ routes\[0\]\.path/
  })
  t.match(await call(cwd, '--help'), { status: 0, stdout: /Usage: wxgate explain/ })
})
