import { type Test, test } from 'tap'
import { groupMetricsText } from '../../src/telemetry/group-metrics.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { APPID, buildTestGateway, defaultConfig, OTHER_APPID, readTestConfig } from '../support/gateway.ts'
import { findProgram, runProgram } from '../support/programs.ts'
import { startUpstream } from '../support/upstream.ts'

const OPERATIONS = ['get', 'appendFeed']

function createTestMetrics(): Metrics {
  return createMetrics({
    laneReasons: ['own_path'],
    version: '1.2.3',
    isReady: () => true,
    appStates: () => ({}),
    lostLogLines: () => 0,
    feedAge: () => 0.25,
    isStoreTrusted: () => true,
    revocations: () => 3,
    storeOperations: OPERATIONS,
    errcodes: [40001],
    ownStatuses: [499],
    upstreams: () => ({ targets: [], upstreams: [] })
  })
}

const request = (path: string | null, status: number) => ({ route: path === null ? null : { path }, status, ms: 3 })

/** Value of the series with exactly this spelling; null without one. */
function sampleOf(text: string, series: string): number | null {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `))
  return line === undefined ? null : Number(line.slice(series.length + 1))
}

async function group(...workers: readonly Metrics[]): Promise<string> {
  return groupMetricsText(await Promise.all(workers.map((worker) => worker.json())), workers.length)
}

test('every series whose labels are known is 0 before its first event', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const text = await (await gateway.service('/metrics')).text()
  const series = [
    'wxgate_security_events_total{kind="refresh_reused"}',
    'wxgate_security_events_total{kind="login_code_reused"}',
    'wxgate_refreshes_total{result="rotated"}',
    'wxgate_refreshes_total{result="reused"}',
    `wxgate_logins_total{app="${APPID}",result="ok"}`,
    `wxgate_logins_total{app="${APPID}",result="wechat_misconfigured"}`,
    `wxgate_logins_total{app="${APPID}",result="wechat_unavailable"}`,
    'wxgate_store_errors_total{operation="readFeed"}',
    'wxgate_store_errors_total{operation="compareAndSet"}',
    'wxgate_request_duration_seconds_count{route="/api",status="200"}',
    'wxgate_request_duration_seconds_count{route="/api",status="502"}',
    'wxgate_request_duration_seconds_bucket{le="+Inf",route="/public",status="504"}',
    'wxgate_request_duration_seconds_count{route="none",status="503"}'
  ]
  for (const one of series) t.equal(sampleOf(text, one), 0, one)
  t.equal(sampleOf(text, 'wxgate_build_info{version="0.0.0-test"}'), 1)
})

test('the first event of a kind is an increase of 1', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const read = async () => (await gateway.service('/metrics')).text()
  const before = await read()
  const { access_token: token } = await gateway.login('alice')
  await gateway.call('/api/x', { token })
  const after = await read()
  for (const series of [
    `wxgate_logins_total{app="${APPID}",result="ok"}`,
    'wxgate_request_duration_seconds_count{route="/api",status="200"}',
    'wxgate_request_duration_seconds_count{route="none",status="200"}'
  ]) {
    t.equal(sampleOf(before, series), 0, series)
    t.equal(sampleOf(after, series), 1, series)
  }
})

test('apps and routes of a reload start at 0, and earlier ones keep their counts', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  await gateway.call('/public/x')
  const base = defaultConfig(upstream.url)
  const next = readTestConfig({
    ...base,
    apps: [...(base.apps as object[]), { appid: OTHER_APPID, secret: 'another-appsecret-0123456789abcdef' }],
    routes: [...(base.routes as object[]), { path: '/new', upstream: 'app', auth: 'public' }]
  })
  await gateway.gateway.reload(next)
  const text = await (await gateway.service('/metrics')).text()
  t.equal(sampleOf(text, `wxgate_logins_total{app="${OTHER_APPID}",result="ok"}`), 0)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="/new",status="502"}'), 0)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="/public",status="200"}'), 1)
})

test('for any answer of an upstream the label status is a registered code, 499 or a class', async (t) => {
  const metrics = createTestMetrics()
  for (let status = 100; status < 1_000; status++) metrics.finished(request('/api', status))
  metrics.finished(request(null, 404))
  metrics.parseErrorAnswered(400)
  const text = await metrics.text()
  const labels = [...text.matchAll(/_count\{route="\/api",status="(\w+)"\}/g)].map(([, status = '']) => status)
  t.ok(labels.length < 80, `${labels.length}`)
  for (const label of labels) t.match(label, /^([1-5]\d\d|[1-9]xx)$/)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="/api",status="499"}'), 1)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="/api",status="9xx"}'), 100)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="none",status="404"}'), 1)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="none",status="400"}'), 1)
  const total = [...text.matchAll(/_count\{route="\/api",status="\w+"\} (\d+)/g)].reduce(
    (sum, [, n]) => sum + Number(n),
    0
  )
  t.equal(total, 900)
})

test('buckets are cumulative, and a request longer than the last bound counts in +Inf alone', async (t) => {
  const metrics = createTestMetrics()
  for (const ms of [0.5, 1, 40, 31_000]) metrics.finished({ route: { path: '/api' }, status: 200, ms })
  const text = await metrics.text()
  const bucket = (le: string) =>
    sampleOf(text, `wxgate_request_duration_seconds_bucket{le="${le}",route="/api",status="200"}`)
  t.same(['0.001', '0.025', '0.05', '30', '+Inf'].map(bucket), [2, 2, 3, 3, 4])
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_sum{route="/api",status="200"}'), 31.0415)
})

/** On every system; counts of file descriptors need /proc. */
const PROCESS_METRICS = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'process_start_time_seconds',
  'nodejs_eventloop_lag_seconds',
  'nodejs_eventloop_lag_p99_seconds',
  'nodejs_heap_size_used_bytes',
  ...(process.platform === 'linux' ? ['process_open_fds', 'process_max_fds', 'process_virtual_memory_bytes'] : [])
]

test('process metrics have their usual names, of one process and of several workers', async (t) => {
  const [one, other] = [createTestMetrics(), createTestMetrics()]
  for (const [label, text] of [
    ['one process', await one.text()],
    ['two workers', await group(one, other)]
  ] as const) {
    for (const name of PROCESS_METRICS) t.ok((sampleOf(text, name) ?? -1) >= 0, `${label}: ${name}`)
    const startedAt = sampleOf(text, 'process_start_time_seconds') ?? 0
    t.ok(startedAt > 1.7e9 && startedAt <= Date.now() / 1000, `${label}: started at ${startedAt}`)
    t.equal(sampleOf(text, 'wxgate_build_info{version="1.2.3"}'), 1, label)
  }
})

test('workers add up: counters and histograms are sums, and a series of one of them is a series of the group', async (t) => {
  const [one, other] = [createTestMetrics(), createTestMetrics()]
  one.securityEvent('refresh_reused')
  other.finished(request('/api', 200))
  const text = await group(one, other)
  t.equal(sampleOf(text, 'wxgate_security_events_total{kind="refresh_reused"}'), 1)
  t.equal(sampleOf(text, 'wxgate_security_events_total{kind="login_code_reused"}'), 0)
  t.equal(sampleOf(text, 'wxgate_request_duration_seconds_count{route="/api",status="200"}'), 1)
  t.equal(sampleOf(text, 'wxgate_revocations'), 3)
  t.equal(sampleOf(text, 'wxgate_workers'), 2)
})

async function expectCleanLint(t: Test, program: string, text: string): Promise<void> {
  const { status, stdout, stderr } = await runProgram(program, ['check', 'metrics'], { input: text })
  t.equal(`${stdout}${stderr}`, '')
  t.equal(status, 0)
}

test('promtool accepts the metrics of a process and of a group', async (t) => {
  const program = findProgram(t, 'promtool')
  if (program === null) return
  const metrics = createTestMetrics()
  metrics.configured({
    apps: [{ appId: APPID, push: null, pay: null }],
    routes: [{ path: '/api' }],
    service: { tokens: [] }
  })
  metrics.finished(request('/api', 200))
  metrics.reloadDone(false)
  await expectCleanLint(t, program, await metrics.text())
  await expectCleanLint(t, program, await group(metrics, createTestMetrics()))
})

test('promtool accepts the answer of a gateway', async (t) => {
  const program = findProgram(t, 'promtool')
  if (program === null) return
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  await gateway.call('/api/x', { token })
  const response = await gateway.service('/metrics')
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  await expectCleanLint(t, program, await response.text())
})
