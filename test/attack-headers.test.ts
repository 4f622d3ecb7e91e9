/** Headers as an upstream receives them. The corpus of the self-test (attack-corpus.test.ts)
 *  has the forged and malformed ones. */
import { test } from 'tap'
import { startTarget, type Target, valuesOf } from './support/attack.ts'
import { exchange } from './support/raw-client.ts'
import { ok, startRawUpstream } from './support/raw-upstream.ts'
import type { Seen } from './support/upstream.ts'

const IDENTITY = ['X-OpenId', 'X-AppId', 'X-User-Id', 'X-User-Status', 'X-Session-Id']

/** The request as the upstream received it: without a token, on a public route. */
async function forwarded(target: Target, ...lines: string[]): Promise<Seen> {
  const { status, seen } = await target.get('/x', ...lines)
  const [request] = seen
  if (status !== 200 || !request) throw new Error(`nothing arrived upstream for ${lines.join(' | ')}`)
  return request
}

test('names that no server folds into an identity header pass', async (t) => {
  const target = await startTarget(t)
  const { headers } = await forwarded(
    target,
    'X-OpenId-: a',
    'X--OpenId: b',
    'XOpenId: c',
    'X-Trace: d',
    'X-Sessions: e'
  )
  for (const name of ['x-openid-', 'x--openid', 'xopenid', 'x-trace', 'x-sessions']) t.ok(headers[name], name)
})

test('headers named in Connection end at the gateway, except those that it writes and the framing', async (t) => {
  const target = await startTarget(t)
  const body = '{"a":1}'
  for (const line of [
    'Connection: keep-alive\r\nConnection: X-Hop',
    'Connection: authorization, cookie, x-hop',
    'Connection: x-forwarded-for, x-hop',
    'Connection: content-length, X-HOP',
    'Connection: host, x-hop',
    'Connection: transfer-encoding, x-hop',
    'Connection: content-type, x-hop',
    'Connection: x-hop, __proto__, constructor',
    'Connection: ,, x-hop ,,;,',
    'Connection:x-hop\t,close',
    `Connection: x-hop, ${'a,'.repeat(2_000)}`
  ]) {
    const head = `Authorization: Bearer ${target.token}\r\nX-Hop: 1\r\nX-Stays: 2\r\nContent-Type: application/json\r\n${line}`
    const post = `POST /admin/x HTTP/1.1\r\nHost: test\r\n${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const outcome = await target.attack(post)
    const [known] = outcome.seen
    t.equal(outcome.status, 200, line)
    t.equal(outcome.seen.length, 1, line)
    if (!known) continue
    t.equal(known.body, body, line)
    t.equal(known.headers['x-hop'], undefined, line)
    t.equal(known.headers['x-stays'], '2', line)
    t.equal(known.headers['content-type'], 'application/json', line)
    t.equal(known.headers['x-forwarded-for'], '127.0.0.1', line)
    t.equal(valuesOf(known, 'host').length, 1, line)
    t.equal(valuesOf(known, 'X-OpenId').length, 1, line)
  }
  t.equal((await forwarded(target, 'Connection: cookie', 'Cookie: a=1')).headers.cookie, undefined)
})

test('Expect: 100-continue is answered by the gateway and ends there', async (t) => {
  const target = await startTarget(t)
  for (const expect of ['100-continue', '100-Continue', '100-CONTINUE']) {
    const outcome = await target.attack(
      `POST /x HTTP/1.1\r\nHost: test\r\nExpect: ${expect}\r\nContent-Length: 2\r\n\r\n{}`
    )
    t.equal(outcome.status, 200, expect)
    t.same(outcome.exchange.interim, [100], expect)
    t.equal(outcome.seen[0]?.headers.expect, undefined, expect)
    t.equal(outcome.seen[0]?.body, '{}', expect)
  }
  const refused = await target.attack(
    'POST /admin HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}'
  )
  t.equal(refused.status, 401)
  t.same(refused.seen, [])
})

const FORWARDED = [
  'X-Forwarded-For: 6.6.6.6',
  'X-Forwarded-Host: evil.com',
  'X-Forwarded-Proto: https',
  'X-Real-IP: 6.6.6.6',
  'Forwarded: for=6.6.6.6;host=evil.com',
  'X_Forwarded_For: 6.6.6.6',
  'X.Forwarded.For: 6.6.6.6',
  'X-Request-Id: EVIL',
  'traceparent: 00-11111111111111111111111111111111-1111111111111111-01'
]

test('headers that only a proxy may set are written by the gateway, once each', async (t) => {
  const target = await startTarget(t)
  for (const lines of [...FORWARDED.map((line) => [line]), FORWARDED, FORWARDED.flatMap((line) => [line, line])]) {
    const label = lines.slice(0, 2).join(' | ')
    const seen = await forwarded(target, ...lines)
    t.notMatch(seen.rawHeaders.join('\n'), /EVIL|6\.6\.6\.6|evil\.com|1{32}/, label)
    t.equal(seen.headers['x-forwarded-for'], '127.0.0.1', label)
    t.equal(seen.headers['x-forwarded-host'], 'test', label)
    t.equal(seen.headers['x-forwarded-proto'], 'http', label)
    t.match(seen.headers['x-request-id'], /^[0-9a-f]{32}$/, label)
    t.match(seen.headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, label)
    for (const name of ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-request-id', 'traceparent'])
      t.equal(valuesOf(seen, name).length, 1, `${name} once: ${label}`)
  }
})

test('the client behind a trusted proxy is the rightmost address that is not a trusted proxy', async (t) => {
  const server = { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1', '10.0.0.0/8', 'fe80::/10'] }
  const target = await startTarget(t, { config: { server } })
  for (const [forwardedFor, client] of [
    ['203.0.113.7', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7, 10.1.2.3', '203.0.113.7'],
    ['6.6.6.6, 203.0.113.7:4711', '203.0.113.7'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['10.1.1.1, 10.1.1.2', '10.1.1.1'],
    ['nonsense', '127.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['6.6.6.6, fe80::1%eth0', '6.6.6.6'],
    ['1%2, ::1%x', '::1'],
    ['', '127.0.0.1'],
    [',,,', '127.0.0.1'],
    ['203.0.113.7,', '203.0.113.7'],
    [' ,203.0.113.7, ,10.1.2.3,', '203.0.113.7'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['"', '127.0.0.1']
  ] as const) {
    const from = target.gateway.lines.length
    const outcome = await target.get(
      '/x',
      `X-Forwarded-For: ${forwardedFor}`,
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: shop.example'
    )
    t.equal(outcome.status, 200, forwardedFor)
    const passedOn = [...forwardedFor.split(/[\s,]+/).filter((element) => element !== ''), '127.0.0.1'].join(', ')
    t.equal(outcome.seen[0]?.headers['x-forwarded-for'], passedOn, forwardedFor)
    t.equal(outcome.seen[0]?.headers['x-forwarded-proto'], 'https')
    t.equal(outcome.seen[0]?.headers['x-forwarded-host'], 'shop.example')
    const line = target.gateway.lines.slice(from).find((text) => text.includes('"path":"/x"'))
    t.equal((JSON.parse(line ?? '{}') as { client?: string }).client, client, forwardedFor)
  }
  const odd = await target.get('/x', 'X-Request-Id: a"b', 'traceparent: 00-0-0-00')
  t.match(odd.seen[0]?.headers['x-request-id'], /^[0-9a-f]{32}$/)
  const good = await target.get('/x', 'X-Request-Id: abc-1', 'X_Forwarded_For: 6.6.6.6', 'X-OpenId: EVIL')
  t.equal(good.seen[0]?.headers['x-request-id'], 'abc-1')
  t.notMatch(good.seen[0]?.rawHeaders.join('\n'), /EVIL|6\.6\.6\.6/)
})

test('a WebSocket handshake passes the same header rules', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-OpenId: EVIL\r\nSec-WebSocket-Accept: x\r\n\r\n'
    )
  })
  const target = await startTarget(t, { config: { upstreams: { app: { targets: [{ url: upstream.url }] } } } })
  const handshake = (path: string, ...lines: string[]) =>
    `GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
  const forged = [
    'X-OpenId: EVIL',
    'X_OpenId: EVIL',
    'X.User.Id: EVIL',
    'X-WX-OPENID: EVIL',
    'X-Forwarded-For: 6.6.6.6',
    'Connection: X-OpenId, X-Hop',
    'X-Hop: EVIL',
    'TE: EVIL',
    'Proxy-Authorization: EVIL'
  ]
  const bearer = `Authorization: Bearer ${target.token}`
  const { responses } = await exchange(target.gateway.port, handshake('/admin/ws', bearer, ...forged))
  t.equal(responses[0]?.status, 101)
  t.equal(responses[0]?.header('x-openid'), '')
  const head = upstream.heads.at(-1) ?? ''
  t.notMatch(head, /EVIL|6\.6\.6\.6|Bearer/)
  for (const name of IDENTITY) t.equal(head.match(new RegExp(`^${name}:`, 'gim'))?.length, 1, name)
  t.equal(head.match(/^Host:/gim)?.length, 1)
  const count = upstream.heads.length
  for (const [bytes, status] of [
    [handshake('/admin/ws', ...forged), 401],
    [handshake('/ADMIN/ws'), 404],
    [handshake('/x/../admin/ws', bearer), 400],
    [handshake('/admin%2fws', bearer), 400],
    [handshake('/auth/login'), 400],
    [handshake('/x', 'Host: two'), 400],
    [handshake('/x', bearer, bearer), 400]
  ] as const) {
    const refused = await exchange(target.gateway.port, bytes, { count: 2 })
    t.equal(refused.responses[0]?.status, status, bytes.slice(0, 40))
    t.ok(refused.isClosed)
  }
  t.equal(upstream.heads.length, count)
})

test('a handshake does not overtake the answer to the request before it', async (t) => {
  const upstream = await startRawUpstream(t, (socket, head) => {
    if (head.startsWith('GET /slow ')) setTimeout(() => socket.write(ok('slow')), 150)
    else if (/^upgrade:/im.test(head))
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    else socket.write(ok('plain'))
  })
  const slow = 'GET /slow HTTP/1.1\r\nHost: test\r\n\r\n'
  const handshake =
    'GET /ws HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'
  const upstreams = { app: { targets: [{ url: upstream.url }] } }
  const target = await startTarget(t, { config: { upstreams } })
  const { responses } = await exchange(target.gateway.port, slow + handshake, { count: 2 })
  // The general lane reads on while a request is under way, and declines the upgrade.
  const second = target.gateway.config.server.fastLane ? [101, ''] : [200, 'plain']
  t.same(
    responses.map(({ status, body }) => [status, body]),
    [[200, 'slow'], second]
  )
})

test('every valid Host is served and forwarded', async (t) => {
  const target = await startTarget(t)
  for (const host of ['a', 'a:80', 'A.example:8080', '[::1]', '[::1]:80', '127.0.0.1', 'a.', 'x--y.cn']) {
    const { status, seen } = await target.attack(`GET /x HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    t.equal(status, 200, host)
    t.equal(seen[0]?.headers['x-forwarded-host'], host, host)
  }
})

test('bytes beyond ASCII, empty values and tabs pass unchanged', async (t) => {
  const target = await startTarget(t)
  const { headers } = await forwarded(
    target,
    `X-A: ${Buffer.from('张三').toString('latin1')}`,
    'X-Empty:',
    'X-Tab: a\tb'
  )
  t.equal(Buffer.from(headers['x-a'] as string, 'latin1').toString('utf8'), '张三')
  t.equal(headers['x-empty'], '')
  t.equal(headers['x-tab'], 'a\tb')
})

test('headers at the limit are served, longer and more ones are 431', async (t) => {
  const target = await startTarget(t)
  const many = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, index) => line(index))
  for (const lines of [
    [`X-Big: ${'a'.repeat(16 * 1024)}`],
    many(2_001, (index) => `X${index}: a`),
    many(2_001, () => 'a: b'),
    many(1_001, () => 'a:'),
    many(1_001, (index) => `X-${index}: a`)
  ]) {
    const outcome = await target.get('/x', ...lines)
    t.equal(outcome.status, 431, `${lines.length} lines, ${lines[0]?.slice(0, 20)}`)
    t.equal(outcome.code, 'headers_too_large')
    t.same(outcome.seen, [])
  }
  // The empty line is the last bytes that the parser receives.
  for (const [uri, line, status] of [
    ['/x', `X-Big: ${'a'.repeat(42_000)}`, 431],
    ['/x', `Cookie: ${'a=b; '.repeat(10_000)}`, 431],
    [`/${'a'.repeat(50_000)}`, 'X-Small: a', 414]
  ] as const) {
    const answer = await target.gateway.raw(`GET ${uri} HTTP/1.1\r\nHost: t\r\n${line}\r\n\r\n`)
    t.equal(answer.slice(9, 12), String(status), line.slice(0, 20))
  }
  const fine = await target.get('/x', `X-Big: ${'a'.repeat(15 * 1024)}`)
  t.equal(fine.status, 200)
  t.equal((await target.get('/x', ...many(300, (index) => `X-${index}: ${index}`))).status, 200)
  const metrics = await (await fetch(`${target.gateway.serviceUrl}/metrics`)).text()
  t.match(metrics, /431/)
})

test('the credential never reaches the upstream, whatever the route requires', async (t) => {
  const target = await startTarget(t, {
    config: {
      routes: [
        { path: '/admin', upstream: 'app' },
        { path: '/maybe', upstream: 'app', auth: 'optional' },
        { path: '/', upstream: 'app', auth: 'public' }
      ]
    }
  })
  for (const path of ['/admin/x', '/maybe/x', '/x']) {
    for (const name of ['Authorization', 'authorization', 'AUTHORIZATION']) {
      const { seen } = await target.get(path, `${name}: Bearer ${target.token}`, `Authorization_: ${target.token}`)
      t.notMatch(seen[0]?.rawHeaders.join('\n'), target.token, `${name} ${path}`)
      t.notMatch(seen[0]?.rawHeaders.join('\n'), /authorization/i, `${name} ${path}`)
    }
  }
  t.equal((await target.get('/x', 'Authorization: nonsense')).status, 200)
})
