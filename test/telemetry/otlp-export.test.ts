/** The export to a collector: metrics, log lines, failures of the collector, and its absence. */
import { test } from 'tap'
import { createLog } from '../../src/telemetry/log.ts'
import { createOtlp, type Otlp, type OtlpOptions } from '../../src/telemetry/otlp/otlp.ts'
import { createFakeClock } from '../support/clock.ts'
import { type Collector, listOf, plainAttributes, startCollector } from '../support/collector.ts'
import { APP_SECRET, APPID, buildTestGateway } from '../support/gateway.ts'
import type { Teardown } from '../support/listen.ts'
import { ROOT } from '../support/markdown.ts'
import { runProgram } from '../support/programs.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest } from '../support/push.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

interface WrittenMetric {
  readonly name: string
  readonly unit: string
  readonly sum?: {
    readonly aggregationTemporality: number
    readonly isMonotonic: boolean
    readonly dataPoints: Point[]
  }
  readonly gauge?: { readonly dataPoints: Point[] }
  readonly histogram?: { readonly aggregationTemporality: number; readonly dataPoints: Point[] }
}

interface Point {
  readonly attributes: Parameters<typeof plainAttributes>[0]
  readonly asDouble?: number
  readonly count?: string
  readonly bucketCounts?: string[]
  readonly explicitBounds?: number[]
  readonly startTimeUnixNano: string
  readonly timeUnixNano: string
}

test('metrics are those of /metrics, and log lines carry the ids of their request', async (t) => {
  const upstream = await startUpstream(t)
  const collector = await startCollector(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      logging: { level: 'info', format: 'combined' },
      telemetry: {
        otlp: {
          endpoint: `${collector.url}/base/`,
          headers: { Authorization: 'Bearer otlp', 'User-Agent': 'shop' },
          sample: '100%',
          logs: true
        }
      }
    }
  })
  await gateway.login('alice')
  await gateway.call('/public/x')
  await gateway.call('/nowhere')
  await gateway.otlp?.flush()
  for (const { headers, url } of collector.requests) {
    t.match(headers, { authorization: 'Bearer otlp', 'content-type': 'application/json', 'user-agent': 'shop' }, url)
  }
  const [body = {}] = collector.bodies('/base/v1/metrics')
  const metrics = listOf(body, 'Metrics') as WrittenMetric[]
  const text = await (await gateway.service('/metrics')).text()
  const names = [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].map(([, name, type]) => `${name} ${type}`)
  const kinds = metrics.map(({ name, sum, gauge }) => `${name} ${sum ? 'counter' : gauge ? 'gauge' : 'histogram'}`)
  // Node's own gauges are those of the whole process: other tests change them between the two
  // readings.
  const empty = names.filter((name) => !kinds.includes(name) && !name.startsWith('nodejs_'))
  t.same(
    kinds.filter((kind) => !names.includes(kind)),
    [],
    'the same names and types'
  )
  for (const name of empty) t.notMatch(text, new RegExp(`^${name.split(' ')[0]}[ {_]`, 'm'), `${name} has no series`)
  const logins = metrics.find(({ name }) => name === 'wxgate_logins_total')
  t.match(logins, { sum: { aggregationTemporality: 2, isMonotonic: true }, unit: '1' })
  const done = logins?.sum?.dataPoints.find(({ attributes }) => plainAttributes(attributes).result === 'ok')
  t.equal(done?.asDouble, 1)
  t.ok(BigInt(done?.timeUnixNano ?? 0) > BigInt(done?.startTimeUnixNano ?? 0))
  const durations = metrics.find(({ name }) => name === 'wxgate_request_duration_seconds')
  t.match(durations, { histogram: { aggregationTemporality: 2 }, unit: 's' })
  const point = durations?.histogram?.dataPoints.find(
    ({ attributes }) => plainAttributes(attributes).route === '/public' && plainAttributes(attributes).status === '200'
  )
  t.equal(point?.count, '1')
  t.equal(point?.bucketCounts?.length, (point?.explicitBounds?.length ?? 0) + 1)
  t.equal(
    point?.bucketCounts?.reduce((total, count) => total + Number(count), 0),
    1
  )

  const records = collector.bodies('/base/v1/logs').flatMap((one) => listOf(one, 'Logs')) as Record<string, unknown>[]
  const fieldsOf = (record: Record<string, unknown>) => plainAttributes(record.attributes as Point['attributes'])
  const line = records.find((record) => fieldsOf(record).path === '/public/x')
  const spans = collector
    .bodies('/base/v1/traces')
    .flatMap((one) => listOf(one, 'Spans') as { kind: number; traceId: string; spanId: string; name: string }[])
  const span = spans.find(({ name }) => name === 'GET /public')
  t.match(line, {
    severityText: 'INFO',
    severityNumber: 9,
    body: { stringValue: 'request' },
    traceId: span?.traceId,
    spanId: span?.spanId
  })
  t.match(line && fieldsOf(line), { status: 200, method: 'GET', reason: 'public', level: undefined })
  const resource = (body.resourceMetrics as { resource: { attributes: Point['attributes'] } }[])[0]?.resource
  t.match(plainAttributes(resource?.attributes ?? []), {
    'service.name': 'wxgate',
    'service.version': '0.0.0-test',
    'service.instance.id': /^[0-9a-f-]{36}$/
  })
  t.match(text, /^wxgate_otlp_items_total\{signal="traces",result="exported"\} [1-9]/m)
})

test('a line about the delivery of an event has no ids of the request that brought it', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(503).end())
  const collector = await startCollector(t)
  const push = { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      apps: [{ appid: APPID, secret: APP_SECRET, push }],
      telemetry: { otlp: { endpoint: collector.url, sample: '100%', metrics: false, logs: true } }
    }
  })
  const CreateTime = Math.floor(Date.now() / 1000)
  const event = { ToUserName: 'gh_1', FromUserName: 'oALICE01', CreateTime, MsgType: 'event', Event: 'kf_close' }
  const { path, body } = pushRequest(APPID, event)
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200)
  await gateway.otlp?.flush()
  const records = collector.bodies('/v1/logs').flatMap((one) => listOf(one, 'Logs')) as {
    body: { stringValue: string }
    traceId?: string
  }[]
  const traceOf = (text: string) => records.find((record) => record.body.stringValue === text)
  t.match(traceOf('request'), { traceId: /^[0-9a-f]{32}$/ })
  t.match(traceOf('the delivery of an event failed and is retried'), { traceId: undefined })
})

interface Exporting {
  readonly otlp: Otlp
  readonly clock: ReturnType<typeof createFakeClock>
  readonly collector: Collector
  readonly logged: string[]
  count(result: string): Promise<number>
  /** Waits until so many tries have failed: then the pause before the next has begun. */
  failures(wanted: number): Promise<void>
  /** Hands over one span, and waits until the collector has seen `requests` of them. */
  span(requests: number): Promise<void>
}

async function startExport(t: Teardown, options: Partial<OtlpOptions> = {}): Promise<Exporting> {
  const { Registry } = await import('prom-client')
  const collector = await startCollector(t)
  const clock = createFakeClock()
  const logged: string[] = []
  const log = createLog({ level: 'info' }, { write: (line) => void logged.push(line) })
  const settings = { endpoint: collector.url, headers: {}, metrics: false, intervalMs: 60_000, logs: false, ...options }
  const env = { OTEL_SERVICE_NAME: 'shop', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=prod,a=%20b' }
  const otlp = createOtlp(settings, { clock, version: '1.2.3', env, log: () => log, random: () => 0.5 })
  const registry = new Registry()
  otlp.useRegistry(registry)
  t.teardown(() => otlp.close(0))
  async function readValue(name: string, wanted: Record<string, string>): Promise<number> {
    const metrics = (await registry.getMetricsAsJSON()) as unknown as {
      name: string
      values: { labels: Record<string, string>; value: number }[]
    }[]
    const values = metrics.find((metric) => metric.name === name)?.values ?? []
    const found = values.find(({ labels }) => Object.keys(wanted).every((label) => labels[label] === wanted[label]))
    return found?.value ?? -1
  }
  return {
    otlp,
    clock,
    collector,
    logged,
    count: (result) => readValue('wxgate_otlp_items_total', { signal: 'traces', result }),
    failures: (wanted) =>
      until(async () => (await readValue('wxgate_otlp_failed_requests_total', { signal: 'traces' })) === wanted),
    async span(requests) {
      const trace = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), parentId: '', state: '' }
      otlp.spans.stepEnded(trace, '', { name: 'step', spanId: '3'.repeat(16), startedAt: 1, endedAt: 2, failure: '' })
      clock.advance(5_000)
      await until(() => collector.requests.length === requests)
    }
  }
}

test('an overloaded collector is asked again after its pause, and the batch is not lost', async (t) => {
  const { clock, collector, logged, count, failures, span, otlp } = await startExport(t)
  collector.answer = (res) => res.writeHead(429, { 'retry-after': '7' }).end('{}')
  await span(1)
  await failures(1)
  clock.advance(6_999)
  t.equal(collector.requests.length, 1)
  collector.answer = (res) => res.writeHead(503).end()
  clock.advance(1)
  await until(() => collector.requests.length === 2)
  await failures(2)
  collector.answer = null
  clock.advance(2_000)
  await otlp.flush()
  t.equal(collector.requests.length, 3)
  t.equal(collector.spans().length, 3)
  t.same([await count('exported'), await count('failed')], [1, 0])
  t.match(
    logged.map((line) => JSON.parse(line) as object),
    [
      { event: 'otlp_failed', signal: 'traces', cause: '429' },
      { event: 'otlp_resumed', signal: 'traces' }
    ]
  )
  t.equal(logged.length, 2)
  const [body = {}] = collector.bodies('/v1/traces')
  const [first] = body.resourceSpans as { resource: { attributes: Point['attributes'] } }[]
  t.match(plainAttributes(first?.resource.attributes ?? []), {
    'service.name': 'shop',
    'deployment.environment.name': 'prod',
    a: ' b'
  })
})

test('the log tells of the outage of each signal by itself', async (t) => {
  const { collector, logged, span, otlp } = await startExport(t, { metrics: true })
  collector.answer = (res) => res.writeHead(res.req.url === '/v1/metrics' ? 404 : 200).end('{}')
  for (const requests of [1, 3, 5]) {
    await span(requests)
    await otlp.flush()
  }
  const events = () => logged.map((line) => JSON.parse(line) as object)
  t.match(events(), [{ event: 'otlp_failed', signal: 'metrics', cause: '404' }])
  t.equal(logged.length, 1)
  collector.answer = null
  await otlp.flush()
  t.match(events()[1], { event: 'otlp_resumed', signal: 'metrics' })
  t.equal(logged.length, 2)
})

test('a refused batch is dropped at once, and a partial success is counted', async (t) => {
  const { collector, count, span, otlp } = await startExport(t)
  for (const [index, status] of [400, 401, 404, 413, 500, 302].entries()) {
    collector.answer = (res) => res.writeHead(status).end('no')
    await span(index + 1)
    await otlp.flush()
    t.equal(await count('failed'), index + 1, String(status))
  }
  const answers: [string, number][] = [
    ['{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no"}}', 1],
    ['{"partialSuccess":{"rejectedSpans":99}}', 2],
    ['{"partialSuccess":{"rejectedSpans":-5}}', 2],
    ['{"partialSuccess":null}', 2],
    ['garbage', 2],
    [`"${'x'.repeat(200_000)}"`, 2]
  ]
  for (const [index, [text, rejected]] of answers.entries()) {
    collector.answer = (res) => res.writeHead(200).end(text)
    await span(7 + index)
    await otlp.flush()
    t.equal(await count('rejected'), rejected, text.slice(0, 60))
  }
  t.equal(await count('exported'), 4)
})

test('a collector that is away or hangs is given up after five tries, and holds back nothing', async (t) => {
  const { clock, collector, count, failures, span, otlp } = await startExport(t)
  collector.answer = () => {}
  await span(1)
  for (let tries = 1; tries <= 5; tries++) {
    await until(() => collector.requests.length === tries)
    clock.advance(10_000)
    await failures(tries)
    clock.advance(30_000)
  }
  await otlp.flush()
  t.equal(await count('failed'), 1)
  collector.answer = (res) => res.socket?.destroy()
  await span(6)
  await failures(6)
  const closed = otlp.close(500)
  clock.advance(500)
  await closed
  t.equal(await count('stopped'), 1)
  t.equal(collector.requests.length, 6)
})

test('the queue is bounded: the newest spans are dropped', async (t) => {
  const { collector, count, otlp } = await startExport(t)
  collector.answer = () => {}
  const trace = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), parentId: '', state: '' }
  const name = 'x'.repeat(500)
  for (let index = 0; index < 20_000; index++) {
    otlp.spans.stepEnded(trace, '', { name, spanId: '3'.repeat(16), startedAt: 1, endedAt: 2, failure: '' })
  }
  t.ok((await count('full')) > 1_000)
  await until(() => collector.requests.length === 1)
  t.ok((collector.requests[0]?.body.length ?? 0) < 300 * 1024)
})

test('requests are served while the collector hangs, and a drain does not wait for it', async (t) => {
  const upstream = await startUpstream(t)
  const collector = await startCollector(t)
  collector.answer = () => {}
  const gateway = await buildTestGateway(t, upstream.url, {
    config: { telemetry: { otlp: { endpoint: collector.url, sample: '100%' } } }
  })
  await gateway.call('/public/x')
  void gateway.otlp?.flush()
  await until(() => collector.requests.length > 0)
  t.equal((await gateway.call('/public/x')).status, 200)
  await gateway.gateway.drain()
  await gateway.otlp?.close(20)
  t.pass('it has ended')
})

/** Prints the modules of traces that are loaded, without and with `telemetry.otlp`. */
const LOADER = `
  import { registerHooks } from 'node:module'
  const loaded = []
  registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
  const { buildTestGateway } = await import('./test/support/gateway.ts')
  const ends = []
  const t = { teardown: (end) => void ends.push(end) }
  const count = async (config) => {
    await buildTestGateway(t, 'http://127.0.0.1:9', { config })
    return loaded.filter((url) => /\\/telemetry\\/otlp\\/|\\/http\\/trac(?:ing|ed-record)\\.ts$/.test(url)).length
  }
  const without = await count({})
  const beside = await count({ telemetry: { otlp: { endpoint: 'http://127.0.0.1:9' } } })
  for (const end of ends) await end()
  console.log(without, beside, loaded.length)
`

test('no module of traces is loaded without telemetry.otlp', async (t) => {
  const { stdout, stderr } = await runProgram(process.execPath, ['--input-type=module', '-e', LOADER], {
    cwd: ROOT,
    env: { ...process.env, NODE_OPTIONS: '' }
  })
  const [without, beside, all] = stdout.trim().split(' ').map(Number)
  t.equal(without, 0, stderr)
  t.ok((beside ?? 0) > 8)
  t.ok((all ?? 0) > 200)
})
