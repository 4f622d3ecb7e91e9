/** GET /v1/status, its event stream and the recent failures with several workers. */
import { get } from 'node:http'
import { type Test, test } from 'tap'
import { mergeUpstreams } from '../../src/service/status/merged-upstreams.ts'
import type { StatusAnswer } from '../../src/service/status/status.ts'
import type { MeasuredTarget } from '../../src/telemetry/upstream-metrics.ts'
import { APPID, defaultConfig, SERVICE_TOKEN } from '../support/gateway.ts'
import { freePort, startProcess, untilStatus, writeConfig } from '../support/process.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

/** Each request has a connection of its own, which either worker may accept. */
const REQUESTS = 40

interface Failures {
  readonly failures: readonly { readonly id: string; readonly time: string; readonly path: string }[]
}

async function startWorkers(t: Test) {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const base = defaultConfig(upstream.url)
  const { file } = writeConfig(t, {
    ...base,
    server: { ...(base.server as object), port, workers: 2 },
    service: { ...(base.service as object), port: servicePort },
    logging: { level: 'info', access: false },
    store: 'sqlite:./state.db'
  })
  startProcess(t, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  const serviceUrl = `http://127.0.0.1:${servicePort}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200)
  const headers = { authorization: `Bearer ${SERVICE_TOKEN}`, connection: 'close' }
  const service = async <T>(path: string, init: RequestInit = {}) => {
    const response = await fetch(serviceUrl + path, { ...init, headers: { ...headers, ...init.headers } })
    return (await response.json()) as T
  }
  const call = async (path: string) => (await fetch(url + path, { headers: { connection: 'close' } })).status
  return { call, service, serviceUrl, headers }
}

/** The counts of requests in the samples, added up. */
function followSamples(serviceUrl: string, headers: Record<string, string>) {
  const seen = { samples: 0, requests: 0, tries: 0, newest: '' }
  const request = get(`${serviceUrl}/v1/status/events`, { headers }, (response) => {
    response.setEncoding('utf8').on('data', (text: string) => {
      for (const [, json = '{}'] of text.matchAll(/^data: (.*)$/gm)) {
        const sample = JSON.parse(json) as { requests: number; newest_failure: string; targets: { tries: number }[] }
        seen.samples += 1
        seen.requests += sample.requests
        seen.tries += sample.targets.reduce((total, { tries }) => total + tries, 0)
        seen.newest = sample.newest_failure
      }
    })
    response.on('error', () => {})
  })
  request.on('error', () => {})
  return { seen, close: () => request.destroy() }
}

test('the status, its events and the recent failures are those of all workers, whichever answers', async (t) => {
  const { call, service, serviceUrl, headers } = await startWorkers(t)
  const status = () => service<StatusAnswer>('/v1/status')
  const { seen, close } = followSamples(serviceUrl, headers)
  t.teardown(close)
  await until(() => seen.samples > 0)

  for (let index = 0; index < REQUESTS; index++) t.equal(await call('/public/x'), 200)
  for (let index = 0; index < REQUESTS; index++) t.equal(await call(`/api/${index}`), 401)
  await until(() => seen.requests >= 2 * REQUESTS && seen.tries === REQUESTS)

  const pids = new Set<string>()
  for (let turn = 0; turn < 6; turn++) {
    const { processes, upstreams, routes, readiness } = await status()
    const countsOf = (route: string) => routes.find(({ path }) => path === route)?.counts
    t.match(countsOf('/public'), { requests: REQUESTS, statuses: { '2xx': REQUESTS } })
    t.match(countsOf('/api'), { requests: REQUESTS, statuses: { '4xx': REQUESTS } })
    t.match(upstreams[0]?.targets[0]?.tries, { '2xx': REQUESTS })
    t.equal(readiness, 'ok')
    t.equal(processes.length, 2)
    pids.add(processes.map(({ pid }) => pid).join())
  }
  t.equal(pids.size, 1, 'the same two processes each time')

  const { failures } = await service<Failures>('/v1/failures?kind=refused')
  t.same(
    failures.map(({ path }) => path).sort(),
    Array.from({ length: REQUESTS }, (_, index) => `/api/${index}`).sort()
  )
  t.same(
    failures.map(({ time }) => time),
    failures.map(({ time }) => time).toSorted((one, other) => other.localeCompare(one)),
    'one list, the newest first'
  )
  t.equal(new Set(failures.map(({ id }) => id.split('-')[1])).size, 2, 'both workers have some')
  t.equal(seen.newest, failures[0]?.id)
  for (const { id } of failures.slice(0, 6))
    t.match(await service(`/v1/failures/${id}/identity`, { method: 'POST' }), { client: '127.0.0.1' })
  const older = await service<Failures>(`/v1/failures?kind=refused&before=${failures[9]?.id}&limit=5`)
  t.same(older.failures, failures.slice(10, 15))

  const path = '/wxa/msg_sec_check'
  for (let index = 0; index < 8; index++) await service(`/wxapi/${APPID}${path}`, { method: 'POST', body: '{}' })
  t.match((await status()).apps[0]?.paths, [{ path, calls: 8, quota: null }])
  await service(`/v1/apps/${APPID}/quotas`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ paths: [path] })
  })
  for (let turn = 0; turn < 4; turn++) {
    const paths = (await status()).apps[0]?.paths
    t.match(
      paths?.find((one) => one.path === path),
      { calls: 8, quota: { daily: { used: 8 } } }
    )
  }
})

test('of a target in several processes the counts are added up, and the worst state counts', (t) => {
  const target: MeasuredTarget = {
    ...{ upstream: 'app', target: 'a:1', isHealthy: true, isEjected: false, breaker: 'closed' },
    ...{ inFlight: 1, waiting: 2, busyConnections: 3, idleConnections: 4, ejections: 5 },
    tries: new Map([['2xx', 6]]),
    heads: { bounds: [0.1], counts: [7, 8], seconds: 9 }
  }
  const worse: MeasuredTarget = {
    ...target,
    ...{ isHealthy: false, isEjected: true, breaker: 'open' },
    tries: new Map([['5xx', 1]])
  }
  const upstream = { upstream: 'app', retries: 1, retriesRefused: 2, refusals: { full: 3 } }
  const merged = mergeUpstreams([
    { targets: [target], upstreams: [upstream] },
    { targets: [worse, { ...target, target: 'b:1' }], upstreams: [{ ...upstream, refusals: { full: 1, away: 1 } }] }
  ])
  t.same(merged, {
    targets: [
      {
        ...{ upstream: 'app', target: 'a:1', isHealthy: false, isEjected: true, breaker: 'open' },
        ...{ inFlight: 2, waiting: 4, busyConnections: 6, idleConnections: 8, ejections: 10 },
        tries: new Map([
          ['2xx', 6],
          ['5xx', 1]
        ]),
        heads: { bounds: [0.1], counts: [14, 16], seconds: 18 }
      },
      { ...target, target: 'b:1' }
    ],
    upstreams: [{ upstream: 'app', retries: 2, retriesRefused: 4, refusals: { full: 4, away: 1 } }]
  })
  t.end()
})
