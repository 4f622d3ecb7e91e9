/** The access log: one line per request. */
import { test } from 'tap'
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
    granted: true,
    reason: 'token',
    client: '127.0.0.1',
    user: user.id,
    request_id: /^[0-9a-f]{32}$/
  })
  t.ok(Number(lines[1]?.ms) >= Number(lines[1]?.upstream_ms) && Number(lines[1]?.upstream_ms) > 0)
  t.match(lines[2], { route: '/api', status: 401, granted: false, reason: 'token_invalid' })
  t.match(lines[3], { route: '/public', status: 200, granted: true, reason: 'public' })
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
