/** The access log: one line per request. */
import { test } from 'tap'
import { createAccessLog, type LoggedRequest } from '../src/telemetry/access-log.ts'
import { buildTestGateway } from './support/gateway.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

test('the access log has one JSON line per request with request, decision and reason, and no query', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const login = await fetch(`${gateway.url}/auth/login?secret=canary-query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"code":"sandbox-alice"}'
  })
  const { access_token: token, user } = (await login.json()) as { access_token: string; user: { id: string } }
  const headers = { authorization: `Bearer ${token}`, cookie: 'canary-cookie=1' }
  await fetch(`${gateway.url}/api/orders?access_token=canary-query`, { headers })
  await fetch(`${gateway.url}/api/orders?canary-query`, { headers: { authorization: 'Bearer canary-token' } })
  await fetch(`${gateway.url}/public/x?canary-query`)
  await fetch(`${gateway.url}/nowhere?canary-query`)
  const requests = () => gateway.lines.filter((line) => line.includes('"msg":"request"'))
  await until(() => requests().length === 5)
  const lines = requests().map((line) => JSON.parse(line) as Record<string, unknown>)
  t.match(lines[0], { method: 'POST', path: '/auth/login', route: 'none', status: 200, granted: true, reason: 'own' })
  t.match(lines[1], {
    method: 'GET',
    path: '/api/orders',
    route: '/api',
    status: 200,
    bytes: 11,
    upstream: 'app',
    target: new URL(upstream.url).host,
    tries: 1,
    granted: true,
    reason: 'token',
    client: '127.0.0.1',
    user: user.id,
    request_id: /^[0-9a-f]{32}$/
  })
  t.ok(Number(lines[1]?.ms) >= Number(lines[1]?.upstream_ms) && Number(lines[1]?.upstream_ms) > 0)
  t.match(lines[2], { route: '/api', status: 401, granted: false, reason: 'token_invalid' })
  t.notOk(
    ['upstream', 'target', 'tries'].some((name) => name in (lines[2] ?? {})),
    'no target was tried'
  )
  t.match(lines[3], { route: '/public', status: 200, tries: 1, granted: true, reason: 'public' })
  t.match(lines[4], { route: 'none', status: 404, granted: false, reason: 'no_route' })
  t.notMatch(gateway.lines.join(''), /canary-(?:query|cookie|token)|eyJ/)
})

test('the combined log has the format that readers of Apache logs parse', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { config: { logging: { format: 'combined' } } })
  await fetch(`${gateway.url}/public/x?canary-query`)
  const find = () => gateway.lines.find((text) => text.includes('/public/x'))
  await until(() => find() !== undefined)
  t.match(
    find()?.trim(),
    /^127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}(:\d\d){3} \+0000\] "GET \/public\/x HTTP\/1\.1" 200 11 "-" "-"$/
  )
})

/** Names of a client that would break a line, with a token in each. */
const TOKEN = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJjYW5hcnktdG9rZW4ifQ.c2lnbmF0dXJl'
const HOSTILE = {
  'user-agent': `<script>alert("x")</script>\\ ${TOKEN} ${'long '.repeat(200)}`,
  referer: `https://user:canary-password@servicewechat.com/wx1234567890abcdef/12/page-frame.html?token=canary-token#${TOKEN}`
}
const PLACE = 'https://servicewechat.com/wx1234567890abcdef/12/page-frame.html'

test('with logging.userAgent a line has User-Agent and Referer: escaped, bounded, and without a credential', async (t) => {
  const upstream = await startUpstream(t)
  for (const format of ['json', 'combined']) {
    const gateway = await buildTestGateway(t, upstream.url, { config: { logging: { format, userAgent: true } } })
    await fetch(`${gateway.url}/public/x`, { headers: HOSTILE })
    await gateway.raw('GET /public/y HTTP/1.1\r\nHost: a\r\nUser-Agent: \xe5\xbe\xae\xff\r\nConnection: close\r\n\r\n')
    const find = (path: string) => gateway.lines.find((line) => line.includes(path))
    await until(() => find('/public/y') !== undefined)
    const [first = '', second = ''] = [find('/public/x'), find('/public/y')]
    t.notMatch(first, /canary|eyJ/)
    t.equal(first.trimEnd().split('\n').length, 1)
    t.ok(first.length < 800)
    if (format === 'json') {
      const line = JSON.parse(first) as Record<string, string>
      t.match(line.user_agent, /^<script>alert\("x"\)<\/script>\\ …/)
      t.equal(line.referer, PLACE)
      t.match(JSON.parse(second), { user_agent: '\u5fae\ufffd', referer: '' })
    } else {
      t.match(first, `"${PLACE}" "<script>alert(\\x22x\\x22)</script>\\x5c `)
      t.match(second, /HTTP\/1\.1" 200 11 "-" "[\x20-\x7e]+"\n$/)
    }
  }
})

test('logging.sample leaves out successes only', (t) => {
  const lines: string[] = []
  const draws = [0.05, 0.1, 0.95]
  const log = createAccessLog(
    { level: 'info', access: true, format: 'json', sample: 0.1 },
    { write: (line) => void lines.push(line) },
    false,
    { random: () => draws.shift() ?? 0.99 }
  )
  const base: LoggedRequest = {
    ...{ requestId: 'r', method: 'GET', path: '/x', clientAddress: '127.0.0.1', principal: null, client: null },
    ...{ route: { path: '/x', upstream: 'app' }, reason: 'public', isGranted: true, upstreamMs: 1, target: 'h:1' },
    ...{ tries: 1, bytes: 1, status: 200, ms: 2, traceparent: '' }
  }
  for (const path of ['/kept', '/dropped', '/dropped']) log.finished({ ...base, path })
  log.finished({ ...base, path: '/refused', isGranted: false, status: 401, reason: 'token_missing' })
  log.finished({ ...base, path: '/missing', status: 404 })
  log.finished({ ...base, path: '/failed', status: 502, reason: 'upstream_unreachable' })
  log.finished({ ...base, path: '/cut', reason: 'upstream_invalid' })
  t.same(
    lines.map((line) => (JSON.parse(line) as { path: string }).path),
    ['/kept', '/refused', '/missing', '/failed', '/cut']
  )
  log.finished({ ...base, route: { path: '/y', upstream: 'other' }, tries: 2, status: 502 })
  log.finished({ ...base, target: '/run/a "b".sock', status: 502 })
  t.match(
    lines.slice(-2).map((line) => JSON.parse(line)),
    [
      { upstream: 'other', target: 'h:1', tries: 2 },
      { upstream: 'app', target: '/run/a "b".sock', tries: 1 }
    ]
  )
  t.end()
})
