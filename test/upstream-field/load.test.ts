/** Operations under load: no request is lost. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createFieldBackend } from '../support/field-backend.ts'
import { buildTestGateway, defaultConfig, readTestConfig } from '../support/gateway.ts'
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts'
import { listen } from '../support/listen.ts'
import { ROOT } from '../support/markdown.ts'
import { freePort, PLAIN_ENV } from '../support/process.ts'
import { startHaproxy } from '../support/proxies.ts'
import { isRefused } from '../support/raw-client.ts'
import { startLoad } from '../support/steady-load.ts'
import { until } from '../support/until.ts'

const LANES = 8
const PAUSE_MS = 5
/** While processes start, which takes most of the processor. */
const STARTS_PAUSE_MS = 60

/** A backend that can be killed. */
async function startTarget(t: Test, port: number) {
  const child = spawn(process.execPath, [join(ROOT, 'test/support/field-backend.ts'), String(port)], {
    env: PLAIN_ENV,
    stdio: 'inherit'
  })
  t.teardown(() => child.kill('SIGKILL'))
  await until(async () => !(await isRefused(t, port)))
  return child
}

const get = async (url: string) => {
  const response = await fetch(url)
  const body = await response.text()
  return response.status === 200 ? body : `${response.status} ${body}`
}

test('one of two targets is killed and comes back under load: no GET fails', async (t) => {
  const ports = [await freePort(), await freePort()]
  const [, second] = await Promise.all(ports.map((port) => startTarget(t, port)))
  const upstream = { targets: ports.map((port) => ({ url: `http://127.0.0.1:${port}` })) }
  const gateway = await buildTestGateway(t, '', {
    config: { upstreams: { app: upstream }, logging: { access: false } }
  })
  const load = startLoad(LANES, PAUSE_MS, () => get(`${gateway.url}/public/hello`))
  await load.more(100)
  second?.kill('SIGKILL')
  await load.more(120)
  await startTarget(t, ports[1] ?? 0)
  await load.more(120)
  t.same(Object.keys(await load.stop()), ['ok'])
})

test('100 reloads of a changed upstream and changed routes under load: no request fails', async (t) => {
  const url = `http://127.0.0.1:${await listen(t, createFieldBackend())}`
  const logging = { access: false }
  const gateway = await buildTestGateway(t, url, { config: { logging } })
  const load = startLoad(LANES, PAUSE_MS, async (n) => {
    if (n % 2 === 0) return get(`${gateway.url}/public/hello`)
    const response = await fetch(`${gateway.url}/public/x`, { method: 'POST', body: 'x'.repeat(2_000) })
    return response.status === 200 && (await response.text()).length === 64 ? 'ok' : `${response.status}`
  })
  for (let round = 1; round <= 100; round++) {
    const upstreams = { app: { targets: [{ url }], timeouts: { response: `${20 + round}s` } } }
    const routes = [{ path: '/public', upstream: 'app', auth: 'public', timeout: `${20 + round}s` }]
    const config = readTestConfig({ ...defaultConfig(url), logging, upstreams, routes })
    await gateway.gateway.reload({ ...config, server: gateway.config.server })
    await load.more(4)
  }
  t.same(Object.keys(await load.stop()), ['ok'])
})

/** Health checks faster than in deploy/proxies; retries as HAProxy has them by default. */
const haproxyConfig = (port: number, gateways: readonly number[]) => `defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 120s
  # A busy machine answers late; without this line the interval is the limit.
  timeout check 10s
  http-reuse always
frontend edge
  bind 127.0.0.1:${port}
  default_backend wxgate
backend wxgate
  option httpchk GET /readyz
  http-response set-header X-Server %s
  default-server check inter 100ms fall 2 rise 1
${gateways.map((gateway, index) => `  server gateway-${index} 127.0.0.1:${gateway}`).join('\n')}
`

test('a rolling restart of two gateways behind HAProxy under load: no request fails, POSTs included', async (t) => {
  const url = `http://127.0.0.1:${await listen(t, createFieldBackend())}`
  const ports = [await freePort(), await freePort()]
  const start = (port: number) =>
    startGatewayProcess(t, url, {
      port,
      server: { drain: { delay: '1500ms', timeout: '10s' } },
      config: { logging: { access: false } }
    })
  const gateways: GatewayProcess[] = await Promise.all(ports.map(start))
  const port = await freePort()
  if (!(await startHaproxy(t, haproxyConfig(port, ports), port))) return
  const served = new Map<string, number>()
  const edge = `http://127.0.0.1:${port}`
  const load = startLoad(LANES, STARTS_PAUSE_MS, async (n) => {
    const init = n % 3 === 0 ? { method: 'POST', body: 'x'.repeat(20_000) } : {}
    const response = await fetch(`${edge}/public/${n % 50 === 1 ? 'slow?ms=300' : 'hello'}`, init)
    const server = response.headers.get('x-server') ?? ''
    served.set(server, (served.get(server) ?? 0) + 1)
    const body = await response.text()
    return response.status === 200 ? 'ok' : `${init.method ?? 'GET'} ${response.status} ${server} ${body}`
  })
  const untilServedBy = async (index: number) => {
    const before = served.get(`gateway-${index}`) ?? 0
    await until(() => (served.get(`gateway-${index}`) ?? 0) > before + 10)
  }
  for (const index of [0, 1]) await untilServedBy(index)
  for (const [index, gateway] of gateways.entries()) {
    gateway.child.kill('SIGTERM')
    t.equal(await gateway.exited, 0)
    await start(gateway.port)
    await untilServedBy(index)
  }
  t.same(Object.keys(await load.stop()), ['ok'])
})
