/** Active health checks, and the state of targets as requests, logs and reloads see it. */
import { lookup } from 'node:dns'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { HealthCheck } from '../../src/upstream/health-check.ts'
import { createMembers } from '../../src/upstream/members.ts'
import { createPools } from '../../src/upstream/pools.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { createFakeClock, createTestClock } from '../support/clock.ts'
import { PEM } from '../support/config.ts'
import { buildTestGateway, defaultConfig, next, readTestConfig, type TestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'
import { freePort } from '../support/process.ts'
import { NO_LOG } from '../support/targets.ts'
import { until } from '../support/until.ts'

const config = {
  path: '/healthz',
  host: null,
  headers: {},
  statuses: [{ from: 200, to: 399 }],
  interval: 5_000,
  timeout: 1_000,
  healthyAfter: 2,
  unhealthyAfter: 3
}

function startCheck(isHealthy = true) {
  const clock = createFakeClock()
  const changes: string[] = []
  let result: number | string = 200
  let asked = 0
  const check = new HealthCheck({
    config,
    clock,
    isHealthy,
    ask(done) {
      asked++
      done(result)
    },
    onChange: (isGood, last) => changes.push(`${isGood} ${last}`)
  })
  check.start()
  /** Tests that have this result, with the pauses between them. */
  const tests = (next: number | string, count: number) => {
    result = next
    for (const before = asked; asked < before + count; ) clock.advance(100)
  }
  return { check, clock, changes, tests, asked: () => asked }
}

test('a target is healthy until its first answer, which decides alone', (t) => {
  const bad = startCheck()
  t.equal(bad.check.isHealthy, true)
  bad.tests(503, 1)
  t.same([bad.check.isHealthy, bad.changes], [false, ['false 503']])
  const inherited = startCheck(false)
  inherited.tests(204, 1)
  t.equal(inherited.check.isHealthy, true, 'so does the first answer of a check that replaces another')
  t.end()
})

test('unhealthyAfter bad answers in a row remove a target, healthyAfter good ones restore it', (t) => {
  const { check, changes, tests } = startCheck()
  tests(200, 1)
  tests(500, 2)
  tests(302, 1)
  tests('timeout', 2)
  t.equal(check.isHealthy, true, 'the row was broken')
  tests('ECONNREFUSED', 1)
  t.equal(check.isHealthy, false)
  tests(200, 1)
  tests(404, 1)
  tests(200, 1)
  t.equal(check.isHealthy, false)
  tests(200, 1)
  t.equal(check.isHealthy, true)
  t.same(changes, ['false ECONNREFUSED', 'true 200'])
  t.end()
})

test('tests vary by a tenth of the interval, and stop with the check', (t) => {
  const { check, clock, asked } = startCheck()
  clock.advance(1)
  t.equal(asked(), 1, 'the first one is sent at once')
  clock.advance(4_499)
  t.equal(asked(), 1)
  clock.advance(1_001)
  t.equal(asked(), 2)
  check.stop()
  t.equal(clock.pending, 0)
  clock.advance(60_000)
  t.equal(asked(), 2)
  t.end()
})

interface Backend {
  readonly url: string
  status: number
  healthStatus: number
  hits: number
  checks: number
  readonly hosts: Set<string | undefined>
}

async function startBackend(t: Test): Promise<Backend> {
  const backend = { url: '', status: 200, healthStatus: 200, hits: 0, checks: 0, hosts: new Set<string | undefined>() }
  backend.url = await startServer(t, (req, res) => {
    const isCheck = req.url === '/healthz?deep=1'
    if (isCheck) {
      backend.checks++
      backend.hosts.add(req.headers.host)
    } else backend.hits++
    res.writeHead(isCheck ? backend.healthStatus : backend.status).end('x'.repeat(isCheck ? 200_000 : 1))
  })
  return backend
}

const healthCheck = { path: '/healthz?deep=1', interval: '100ms', healthyAfter: 1, unhealthyAfter: 1 }

function start(t: Test, app: Record<string, unknown>): Promise<TestGateway> {
  return buildTestGateway(t, 'http://127.0.0.1:1', { config: { upstreams: { app } } })
}

/** Statuses of this many requests, one after the other. */
async function ask(gateway: TestGateway, count: number): Promise<number[]> {
  const statuses: number[] = []
  for (let asked = 0; asked < count; asked++) {
    const response = await gateway.call('/public/x')
    await response.text()
    statuses.push(response.status)
  }
  return statuses
}

const logged = (gateway: TestGateway, text: string) => gateway.lines.filter((line) => line.includes(text))

test('an unhealthy target gets no requests; without a healthy one the answer is 503 at once', async (t) => {
  const backends = [await startBackend(t), await startBackend(t)] as const
  const [first, second] = backends
  const targets = backends.map(({ url }) => ({ url }))
  const gateway = await start(t, { targets, healthCheck: { ...healthCheck, host: 'health.internal' } })
  await until(() => first.checks > 0 && second.checks > 0)
  t.same([...first.hosts], ['health.internal'])
  first.healthStatus = 500
  await until(() => logged(gateway, 'a target is unhealthy').length === 1)
  t.same(await ask(gateway, 6), Array(6).fill(200))
  t.same([first.hits, second.hits], [0, 6])
  second.healthStatus = 404
  await until(() => logged(gateway, 'a target is unhealthy').length === 2)
  t.same(await ask(gateway, 1), [503])
  const { checks } = (await (await gateway.call('/readyz?verbose')).json()) as { checks: object }
  t.match(checks, { upstreams: { app: 'away' } })
  t.match(logged(gateway, '"status":503')[0], /"upstream":"app".*"reason":"upstream_unavailable:no_target"/)
  second.healthStatus = 204
  await until(() => logged(gateway, 'a target is healthy again').length === 1)
  t.same(await ask(gateway, 4), Array(4).fill(200))
  t.same([first.hits, second.hits], [0, 10])
  const after = (await (await gateway.call('/readyz?verbose')).json()) as { status: string; checks: object }
  t.match(after, { status: 'ok', checks: { upstreams: { app: 'degraded' } } })
  t.match(JSON.parse(logged(gateway, 'a target is unhealthy')[0] ?? ''), {
    level: 40,
    upstream: 'app',
    target: first.url.slice('http://'.length),
    result: '500'
  })
})

test('a reload keeps the health of a target, whatever timeouts it changes', async (t) => {
  const [first, second] = [await startBackend(t), await startBackend(t)]
  const targets = [{ url: first.url }, { url: second.url }]
  first.healthStatus = 500
  const gateway = await start(t, { targets, healthCheck })
  await until(() => logged(gateway, 'a target is unhealthy').length === 1)
  const reload = (app: Record<string, unknown>) =>
    gateway.gateway.reload({
      ...gateway.config,
      upstreams: readTestConfig({ ...defaultConfig(first.url), upstreams: { app } }).upstreams
    })
  await reload({ targets, healthCheck, timeouts: { connect: '1s', response: '7s' } })
  t.same(await ask(gateway, 6), Array(6).fill(200))
  t.equal(first.hits, 0)
  t.equal(logged(gateway, 'a target is unhealthy').length, 1, 'the check went on')
  await reload({ targets })
  t.same(await ask(gateway, 6), Array(6).fill(200))
  t.equal(first.hits, 3, 'without a check every target is used')
})

test('a target that answers 503 is ejected, and back after its time', async (t) => {
  const [first, second] = [await startBackend(t), await startBackend(t)]
  first.status = 503
  const gateway = await start(t, {
    targets: [{ url: first.url }, { url: second.url }],
    outliers: { failures: 2, ejectFor: '1500ms' }
  })
  const statuses = await ask(gateway, 10)
  t.equal(statuses.filter((status) => status === 503).length, 2)
  t.equal(first.hits, 2)
  first.status = 200
  await until(() => logged(gateway, 'the ejection of a target is over').length === 1)
  t.same(await ask(gateway, 4), Array(4).fill(200))
  t.equal(first.hits, 4)
  t.equal(logged(gateway, 'a target is ejected').length, 1)
})

test('a check of a dead target fails by its connection', async (t) => {
  const backend = await startBackend(t)
  const targets = [{ url: `http://127.0.0.1:${await freePort()}` }, { url: backend.url }]
  const gateway = await start(t, { targets, healthCheck })
  await until(() => logged(gateway, 'a target is unhealthy').length === 1)
  t.match(logged(gateway, 'a target is unhealthy')[0], /ECONNREFUSED/)
  t.same(await ask(gateway, 4), Array(4).fill(200))
})

const ATTEMPT = { key: null, method: 'GET', isReplayable: false, deadlineAt: Number.POSITIVE_INFINITY }

/** Upstreams without a gateway. */
function createRegistry() {
  const clock = createFakeClock()
  const members = createMembers({ clock, log: NO_LOG })
  const pools = createPools({ lookup, clock: systemClock })
  const read = (upstreams: Record<string, unknown>) =>
    createUpstreams(readTestConfig({ ...defaultConfig('http://h'), upstreams }).upstreams, { pools, members, clock })
  return { clock, members, read }
}

test('upstreams with a common target share its checks, which stop with the last of them', (t) => {
  const { clock, members, read } = createRegistry()
  const app = { targets: [{ url: 'http://127.0.0.1:11' }], healthCheck }
  const before = read({ app, other: app })
  t.equal(clock.pending, 0, 'nothing is sent before the gateway listens')
  members.start()
  t.equal(clock.pending, 1)
  const after = read({ app: { ...app, timeouts: { connect: '1s' } } })
  t.equal(clock.pending, 1)
  before.release()
  t.equal(clock.pending, 1)
  t.same([members.snapshot().targets.length, members.snapshot().upstreams.length], [1, 1])
  after.release()
  t.equal(clock.pending, 0)
  t.same(members.snapshot(), { targets: [], upstreams: [] })
  t.end()
})

test('a reload keeps ejections, open breakers and counts, and upstreams share them', (t) => {
  const { clock, members, read } = createRegistry()
  const targets = [{ url: 'http://127.0.0.1:11' }, { url: 'http://127.0.0.1:12' }]
  const circuitBreaker = { minRequests: 5, openFor: '1h' }
  const fail = (upstreams: ReturnType<typeof read>, name: string, count: number) => {
    for (let done = 0; done < count; done++) {
      const lease = upstreams.get(name).attempts(ATTEMPT)
      if (lease.next() !== null) lease.answered(503)
      lease.done()
    }
  }
  const before = read({ app: { targets, circuitBreaker }, other: { targets: targets.slice(0, 1), circuitBreaker } })
  fail(before, 'app', 10)
  const seen = () =>
    members.snapshot().targets.map(({ upstream, isEjected, breaker }) => [upstream, isEjected, breaker])
  const all = [
    ['app', true, 'open'],
    ['app', true, 'open'],
    ['other', true, 'open']
  ]
  t.same(seen(), all)
  const after = read({
    app: { targets, circuitBreaker, timeouts: { connect: '1s' } },
    other: { targets: targets.slice(0, 1), circuitBreaker, connections: { idle: '1s' } }
  })
  before.release()
  t.same(seen(), all)
  t.equal(after.get('other').attempts(ATTEMPT).next(), null)
  t.same(
    members.snapshot().targets.map(({ tries }) => tries.get('5xx')),
    [5, 5, 0]
  )
  after.release()
  t.equal(clock.pending, 0)
  t.end()
})

test('metrics count the tries of each target, start at 0, and end with their target', async (t) => {
  const [first, second] = [await startBackend(t), await startBackend(t)]
  first.status = 503
  const targets = [{ url: first.url }, { url: second.url }]
  const gateway = await start(t, { targets, outliers: { failures: 2, ejectFor: '1h' }, retries: { on: ['503'] } })
  const labels = ({ url }: Backend) => `upstream="app",target="${url.slice('http://'.length)}"`
  const read = async () => {
    const text = await (await gateway.service('/metrics')).text()
    return (series: string) =>
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')[1]
  }
  const born = await read()
  for (const result of ['2xx', '5xx', 'failed', 'abandoned']) {
    t.equal(born(`wxgate_upstream_requests_total{${labels(first)},result="${result}"}`), '0')
  }
  for (const reason of ['no_target', 'queue_full', 'queue_timeout', 'max_in_flight', 'max_pending']) {
    t.equal(born(`wxgate_upstream_refused_total{upstream="app",reason="${reason}"}`), '0')
  }
  t.same(await ask(gateway, 6), Array(6).fill(200))
  const after = await read()
  const expected = {
    [`wxgate_upstream_requests_total{${labels(first)},result="5xx"}`]: '2',
    [`wxgate_upstream_requests_total{${labels(second)},result="2xx"}`]: '6',
    [`wxgate_upstream_head_seconds_count{${labels(second)}}`]: '6',
    [`wxgate_upstream_head_seconds_bucket{le="+Inf",${labels(first)}}`]: '2',
    [`wxgate_upstream_requests_in_flight{${labels(first)}}`]: '0',
    [`wxgate_upstream_requests_waiting{${labels(first)}}`]: '0',
    [`wxgate_upstream_target_healthy{${labels(first)}}`]: '1',
    [`wxgate_upstream_target_ejected{${labels(first)}}`]: '1',
    [`wxgate_upstream_ejections_total{${labels(first)}}`]: '1',
    [`wxgate_upstream_breaker_state{${labels(first)}}`]: '0',
    'wxgate_upstream_retries_total{upstream="app"}': '2',
    'wxgate_upstream_retries_refused_total{upstream="app"}': '0'
  }
  for (const [series, value] of Object.entries(expected)) t.equal(after(series), value, series)
  const { upstreams } = readTestConfig({
    ...defaultConfig(first.url),
    upstreams: { app: { targets: targets.slice(1) } }
  })
  await gateway.gateway.reload({ ...gateway.config, upstreams })
  await until(async () => (await read())(`wxgate_upstream_ejections_total{${labels(first)}}`) === undefined)
  t.equal((await read())(`wxgate_upstream_requests_total{${labels(second)},result="2xx"}`), '6')
})

test('checks go over TLS and Unix sockets, with the Host and the headers of the upstream', async (t) => {
  const seen: string[] = []
  const answer = (req: IncomingMessage, res: ServerResponse) => {
    const { host, authorization = '', 'user-agent': agent = '' } = req.headers
    if (req.url === '/healthz') seen.push(`${host} ${authorization} ${agent}`)
    res.writeHead(req.url === '/healthz' ? 503 : 200).end()
  }
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'app.sock')
  const secure = createSecureServer(PEM, answer).listen(0, '127.0.0.1')
  const plain = createServer(answer).listen(path)
  for (const server of [secure, plain]) {
    t.teardown(() => server.close())
    if (!server.listening) await next(server, 'listening')
  }
  const { port } = secure.address() as AddressInfo
  const gateway = await start(t, {
    targets: [{ url: `https://127.0.0.1:${port}` }, { url: `unix:${path}` }],
    tls: { insecureSkipVerify: true },
    host: 'orders.internal',
    headers: { Authorization: 'Basic Y2FuYXJ5' },
    healthCheck: { unhealthyAfter: 1 }
  })
  await until(() => logged(gateway, 'a target is unhealthy').length === 2)
  t.same(new Set(seen), new Set(['orders.internal Basic Y2FuYXJ5 wxgate-health']))
  t.same(await ask(gateway, 1), [503])
  t.same(logged(gateway, 'canary').concat(logged(gateway, 'Basic')), [], 'no credential is logged')
})

test('an open circuit breaker answers 503 at once, and a trial after openFor closes it', async (t) => {
  const backend = await startBackend(t)
  backend.status = 503
  const clock = createTestClock()
  const circuitBreaker = { minRequests: 4, openFor: '5s' }
  const gateway = await buildTestGateway(t, backend.url, {
    clock,
    config: { upstreams: { app: { targets: [{ url: backend.url }], circuitBreaker } } }
  })
  t.same(await ask(gateway, 7), Array(7).fill(503))
  t.equal(backend.hits, 4)
  const refused = await gateway.call('/public/x')
  t.match(await refused.json(), { code: 'upstream_unavailable', action: 'retry' })
  t.ok(refused.headers.get('retry-after'))
  const metrics = await (await gateway.service('/metrics')).text()
  t.match(metrics, new RegExp(`wxgate_upstream_breaker_state\\{upstream="app",target="${backend.url.slice(7)}"\\} 2\n`))
  t.match(metrics, 'wxgate_upstream_refused_total{upstream="app",reason="no_target"} 4\n')
  clock.advance(5_000)
  t.same(await ask(gateway, 2), [503, 503], 'the trial failed')
  t.equal(backend.hits, 5)
  backend.status = 200
  clock.advance(5_000)
  t.same(await ask(gateway, 5), Array(5).fill(200))
  t.equal(logged(gateway, '"event":"breaker_open"').length, 1)
  t.equal(logged(gateway, '"event":"breaker_closed"').length, 1)
})
