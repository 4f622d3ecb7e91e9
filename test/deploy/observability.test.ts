/** The files of deploy/prometheus and deploy/grafana fit the metrics of a running gateway. */
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { parse } from 'yaml'
import { hasOpenssl } from '../support/certificates.ts'
import { APPID, defaultConfig } from '../support/gateway.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { generateRsa, payConfig } from '../support/pay.ts'
import { freePort, startProcess, untilStatus, writeConfig } from '../support/process.ts'
import { findProgram, runProgram } from '../support/programs.ts'
import { faultsOf, readSeries, type Series } from '../support/promql.ts'
import { createFolder } from '../support/proxies.ts'
import { PUSH_KEY, PUSH_TOKEN } from '../support/push.ts'
import { buildSandbox } from '../support/sandbox.ts'
import { startUpstream } from '../support/upstream.ts'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: Readonly<Record<string, string>>
}

interface Target {
  readonly expr: string
  readonly legendFormat: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly Target[]
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] }
}

const PROMETHEUS = join(ROOT, 'deploy/prometheus')
const rules = (parse(readDocument('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules
)
const dashboard = JSON.parse(readDocument('deploy/grafana/wxgate.json')) as Dashboard

async function promtool(t: Test, args: readonly string[], input?: string): Promise<void> {
  const program = findProgram(t, 'promtool')
  if (program === null) return
  const { status, stdout, stderr } = await runProgram(program, args, {
    cwd: PROMETHEUS,
    ...(input === undefined ? {} : { input })
  })
  t.equal(status, 0, `promtool ${args.join(' ')}: ${stdout}${stderr}`)
}

/** Text of /metrics of a gateway with two workers, TLS, every kind of event, and some traffic. */
async function readLiveMetrics(t: Test): Promise<string | null> {
  const certificate = hasOpenssl(t)?.make('edge', 'DNS:api.example.com')
  if (!certificate) return null
  const upstream = await startUpstream(t)
  const { url: wechat } = await buildSandbox(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const base = defaultConfig(upstream.url)
  const app = (base.apps as object[])[0]
  const push = { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events' }
  const tls = { cert: { file: certificate.certFile }, key: { file: certificate.keyFile } }
  const { file } = writeConfig(t, {
    ...base,
    server: { ...(base.server as object), port, workers: 2, tls },
    service: { ...(base.service as object), port: servicePort },
    wechat: { apiBase: wechat },
    apps: [{ ...app, push, pay: payConfig(generateRsa()) }],
    store: 'sqlite:./wxgate.db',
    telemetry: { otlp: { endpoint: 'http://127.0.0.1:9' } }
  })
  const started = startProcess(t, ['run', '-c', file])
  const service = `http://127.0.0.1:${servicePort}`
  const isReady = untilStatus(`${service}/readyz`, 200).then((status) => status === 200)
  if (!(await Promise.race([isReady, started.exited.then(() => false)]))) throw new Error(started.output())
  const ask = (path: string, body?: string) =>
    new Promise<number>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, rejectUnauthorized: false, agent: false as const }
      const method = body === undefined ? 'GET' : 'POST'
      const outgoing = request({ ...options, method, headers: { 'content-type': 'application/json' } }, (res) => {
        res.resume().on('end', () => resolve(res.statusCode ?? 0))
      })
      outgoing.on('error', reject).end(body)
    })
  t.equal(await ask('/auth/login', '{"code":"sandbox-alice"}'), 200, started.output())
  t.equal(await ask('/public/x'), 200)
  t.equal(await ask('/api/x'), 401)
  return (await fetch(`${service}/metrics`)).text()
}

/** As Grafana asks it. */
const filledIn = (query: string) => query.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*')

test('every query of the alerts and of the dashboard finds its metrics, labels and values', async (t) => {
  const text = await readLiveMetrics(t)
  if (text === null) return
  await promtool(t, ['check', 'metrics'], text)
  // Prometheus itself makes this one.
  const metrics: ReadonlyMap<string, readonly Series[]> = readSeries(text).set('up', [{}])
  t.match(text, /^wxgate_tls_certificate_expiry_timestamp_seconds\{listener="edge",name="api\.example\.com"\} \d{10}$/m)
  t.match(text, /^wxgate_ready 1$/m)
  t.match(text, /^wxgate_log_lost_lines_total 0$/m)
  t.ok(text.includes(`wxgate_app_credentials_refused{app="${APPID}"} 0`))
  for (const { alert, expr } of rules) t.same(faultsOf(expr, metrics), [], alert)
  const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [title, expr] as const)
  )
  t.ok(queries.length > 40)
  for (const [title, expr] of queries) t.same(faultsOf(filledIn(expr), metrics), [], title)
  for (const { expr } of dashboard.annotations.list) t.same(faultsOf(filledIn(expr), metrics), [], expr)
  const documented = [...readDocument('docs/operations.md').matchAll(/^\| `(wxgate_\w+)` \|/gm)].map(
    ([, name = '']) => name
  )
  const own = [...text.matchAll(/^# TYPE (wxgate_\w+)/gm)].map(([, name = '']) => name)
  t.same(own.sort(), documented.sort(), 'the documented metrics are the metrics')
})

test('the alerts pass their own tests, each one fires there, and a healthy gateway fires none', async (t) => {
  await promtool(t, ['test', 'rules', 'alerts.test.yml'])
  const tests = readFileSync(join(PROMETHEUS, 'alerts.test.yml'), 'utf8')
  for (const { alert } of rules) t.ok(tests.includes(`alertname="${alert}"`), alert)
})

test('every alert has a severity and says what it means and what to do', (t) => {
  for (const { alert, labels, annotations } of rules) {
    t.match(labels.severity, /^(page|ticket)$/, alert)
    t.same(Object.keys(annotations), ['summary', 'description', 'runbook'], alert)
  }
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  t.end()
})

test('Prometheus accepts its sample, and the queries of the dashboard', async (t) => {
  await promtool(t, ['check', 'config', 'prometheus.yml'])
  const queries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
  const groups = [{ name: 'all', rules: queries.map((expr, index) => ({ record: `q${index}`, expr: filledIn(expr) })) }]
  const file = join(createFolder(t), 'queries.yml')
  writeFileSync(file, JSON.stringify({ groups }))
  await promtool(t, ['check', 'rules', file])
})

test('the dashboard can be imported: unique ids, no overlap, legends from the labels of the query', (t) => {
  const { panels, templating } = dashboard
  t.same(
    templating.list.map(({ name }) => name),
    ['datasource', 'instance']
  )
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells: string[] = []
  for (const { title, gridPos, targets = [] } of panels) {
    t.ok(gridPos.x + gridPos.w <= 24, title)
    for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        cells.push(`${x} ${y}`)
      }
    }
    for (const { expr, legendFormat } of targets) {
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        t.match(expr, new RegExp(`by \\([^)]*\\b${label}\\b`), `${title}: ${label}`)
      }
    }
  }
  t.equal(new Set(cells).size, cells.length, 'panels overlap')
  t.end()
})
