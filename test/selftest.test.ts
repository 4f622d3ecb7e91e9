/** `wxgate selftest`: this gateway passes, and other servers fail at their known weaknesses. */
import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { english, withScoreCard } from '../scripts/score-card.ts'
import { casesFor, createSample, ROWS } from '../src/selftest/corpus.ts'
import { formatReport, type Report } from '../src/selftest/report.ts'
import { MAX_REQUESTS, requestsPlanned } from '../src/selftest/run.ts'
import { ROUTES } from './support/attack.ts'
import { buildTestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { command, echo, REFUSAL, selftest, startNaive } from './support/selftest.ts'
import { startUpstream } from './support/upstream.ts'

const SAMPLE = createSample()

test('a minimal gateway passes the whole corpus, the answers of a bad backend included', async (t) => {
  const port = await freePort()
  const config = { routes: ROUTES, upstreams: { app: { targets: [{ url: `http://127.0.0.1:${port}` }] } } }
  const gateway = await buildTestGateway(t, `http://127.0.0.1:${port}`, { config })
  const { access_token: token } = await gateway.login('alice')
  const report = await selftest(gateway.url, { token, backend: { host: '127.0.0.1', port }, timeout: 10_000 })
  t.same(
    report.failures.map(({ id, reason }) => `${id} ${reason}`),
    []
  )
  t.same(report.unknown, {})
  t.same(report.counts.all, { cases: report.counts.all.cases, passed: report.counts.all.cases, failed: 0, unknown: 0 })
  t.ok(report.passed && report.answersLikeWxgate && report.upstreamEchoes && report.aliveAfterwards)
  t.ok(report.requests <= MAX_REQUESTS)
})

test('without a token nothing reaches the upstream, and the report lists the cases that were not sent', async (t) => {
  const upstream = await startUpstream(t, echo)
  const gateway = await buildTestGateway(t, upstream.url)
  const { status, stdout } = await command(['--against', gateway.url, '--route', '/api/', '--format', 'json'])
  const report = JSON.parse(stdout) as Report
  t.equal(status, 0, stdout.slice(0, 2_000))
  t.equal(report.route, '/api')
  t.same(Object.keys(report.unknown), ['needs --token'])
  t.ok(report.counts.all.passed > 350)
  t.same(upstream.seen, [])
})

test('an upstream that does not echo gets GET only, and the cases that need an echo are not judged', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  const report = await selftest(gateway.url, { token, route: '/api/orders' })
  t.ok(report.passed)
  t.equal(
    report.counts.all.unknown,
    casesFor(SAMPLE).filter(({ needs }) => needs === 'echo' || needs === 'backend').length
  )
  t.ok(Object.keys(report.unknown).every((reason) => /^needs (?:a route whose upstream|--backend)/.test(reason)))
  t.same(new Set(upstream.seen.map(({ method }) => method)), new Set(['GET']))
})

test('a server that reads every blank line as the end of a request fails, and the report has date, case and counts', async (t) => {
  const { url, most, count } = await startNaive(t, () => REFUSAL)
  const report = await selftest(url, { timeout: 500 })
  const reasons = report.failures
    .filter(({ family }) => family === 'framing')
    .map(({ id, reason }) => `${id} ${reason}`)
  t.ok(
    reasons.some((reason) => reason.startsWith('S05.1 3 answers')),
    'a smuggled request was answered'
  )
  t.ok(reasons.some((reason) => reason.startsWith('S22.1 answered 401, expected 400')))
  t.ok(reasons.some((reason) => /^S24\.\d+ /.test(reason)))
  // The server sees the end of a connection later than the client, so it counts more than 8.
  t.ok(most() <= 16, `${most()} connections at a time`)
  t.ok(count() <= MAX_REQUESTS, 'no more requests than promised')

  const text = formatReport(report, 'text')
  t.match(text, `wxgate selftest 1 against ${url}, route /admin, 1970-01-01T00:00:00.000Z`)
  t.match(text, /family +cases +passed +failed +unknown\npaths +\d+ /)
  t.match(text, /FAILED: \d+ of \d+ cases\n$/)
  const page = formatReport(report, 'markdown')
  t.match(page, `| paths | ${report.counts.paths.cases} |`)
  t.match(page, /## S22\.1: [^\n]+\n\nanswered 401/)
  t.same(JSON.parse(formatReport(report, 'json')), report)
})

test('answers that look like the upstream fail, whatever their status; other answers are not judged', async (t) => {
  const token = 'a-token-of-some-length'
  const upstream = (status: number) => `HTTP/1.1 ${status} X\r\nServer: app\r\nContent-Length: 0\r\n\r\n`
  const { url } = await startNaive(t, (request) => {
    const [, target = ''] = request.split(' ')
    if (request.includes(`Bearer ${token}\r\n`)) return upstream(target.includes('wxgate') ? 404 : 200)
    if (target.includes('%2e')) return upstream(404)
    if (target.includes(';')) return 'HTTP/1.1 404 X\r\nVia: other\r\nContent-Length: 0\r\n\r\n'
    return target.includes('%25') ? 'HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n' : REFUSAL
  })
  const report = await selftest(url, { token, timeout: 500 })
  t.match(report.failures.find(({ id }) => id === 'P02.1')?.reason, 'answered 404, and it looks like the upstream')
  t.ok(report.unknown['answered 404, by the gateway or by the upstream']?.includes('P10.1'))
  t.ok(report.unknown['answered 302, a redirection']?.includes('P13.1'))
})

test('the corpus is bounded, its ids are unique, and every route has the same cases', async (t) => {
  t.ok(requestsPlanned() <= MAX_REQUESTS)
  const ids = casesFor(SAMPLE).map(({ id }) => id)
  t.equal(new Set(ids).size, ids.length)
  t.equal(new Set(ROWS.map(({ id }) => id)).size, ROWS.length)
  for (const route of ['/', '/api', '/api/v1/orders', '/a.b~c-d']) {
    const subject = { ...SAMPLE, route, token: 'x.y.z', host: '127.0.0.1:1' }
    t.same(
      casesFor(subject).map(({ id }) => id),
      ids,
      route
    )
  }
  for (const { bytes, id } of casesFor(SAMPLE)) if (/[^\0-\xff]/.test(bytes)) t.fail(`${id} is not bytes`)
})

test('the score card of docs/security.md is that of the corpus', async (t) => {
  const page = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8')
  t.equal(withScoreCard(page, english), page, 'npm run generate writes it')
})
