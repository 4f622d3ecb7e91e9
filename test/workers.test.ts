import { execFileSync } from 'node:child_process'
import { test } from 'tap'
import { defaultConfig } from './support/gateway.ts'
import { freePort, startProcess, untilStatus, writeConfig } from './support/process.ts'
import { startUpstream } from './support/upstream.ts'

test('two workers are one gateway: one port, one readiness, one set of metrics, one end', async (t) => {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const base = defaultConfig(upstream.url)
  const { folder, file } = writeConfig(t, {
    ...base,
    server: { host: '127.0.0.1', port, workers: 2, drain: { delay: '50ms', timeout: '2s' } },
    service: { host: '127.0.0.1', port: servicePort },
    store: 'sqlite:./state.db'
  })
  t.comment(folder)
  const gateway = startProcess(t, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'ready when both are')
  const workersOf = () =>
    execFileSync('pgrep', ['-P', String(gateway.child.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number)
  t.equal(workersOf().length, 2)

  const logIn = async () => {
    const response = await fetch(`${url}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close' },
      body: '{"code":"sandbox-alice"}'
    })
    return ((await response.json()) as { access_token: string }).access_token
  }
  const call = async (path: string, token: string, method = 'GET') =>
    (await fetch(url + path, { method, headers: { authorization: `Bearer ${token}`, connection: 'close' } })).status
  const token = await logIn()
  // Each is a connection of its own, which either worker may take.
  for (let index = 0; index < 8; index++) t.equal(await call('/api/x', token), 200)

  t.equal(await call('/auth/logout', token, 'POST'), 204)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  for (let index = 0; index < 8; index++)
    t.equal(await call('/api/x', token), 401, 'ended on every worker within a second')

  const metrics = await (await fetch(`http://127.0.0.1:${servicePort}/metrics`)).text()
  t.match(metrics, /wxgate_workers 2/)
  t.match(metrics, /wxgate_logins_total\{app="wx1234567890abcdef",result="ok"\} 1\n/)
  t.match(metrics, /wxgate_request_duration_seconds_count\{route="\/api",status="401"\} 8\n/)

  const [victim = 0] = workersOf()
  process.kill(victim, 'SIGKILL')
  t.equal(await untilStatus(`${url}/readyz`, 503, 2_000), 503, 'not ready while one is missing')
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'a dead worker is replaced')
  t.notOk(workersOf().includes(victim))

  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
  t.match(gateway.output(), /a worker died and is replaced/)
})

test('workers that cannot start end the group with a sentence', async (t) => {
  const upstream = await startUpstream(t)
  const { file } = writeConfig(t, {
    ...defaultConfig(upstream.url),
    server: { host: '127.0.0.1', port: upstream.port, workers: 2 },
    service: { host: '127.0.0.1', port: await freePort() },
    store: 'sqlite:./state.db'
  })
  const gateway = startProcess(t, ['run', '-c', file])
  t.equal(await gateway.exited, 1)
  t.match(gateway.output(), /is in use/)
})
