import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { test } from 'tap'
import { defaultConfig } from './support/gateway.ts'
import { codesIn, readDocument, tableOf } from './support/markdown.ts'
import { COVERED, freePort, startProcess, statusOf, untilStatus, writeConfig } from './support/process.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const workerIds = (primary: number | undefined): number[] =>
  execFileSync('pgrep', ['-P', String(primary)], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map(Number)

/** Kills one worker and waits for its replacement, which need not be ready yet. @returns The
 *  new process. */
async function replaceWorker(primary: number | undefined, victim: number): Promise<number> {
  const before = workerIds(primary)
  process.kill(victim, 'SIGKILL')
  const replacement = () => workerIds(primary).find((id) => !before.includes(id))
  await until(() => replacement() !== undefined)
  return replacement() ?? 0
}

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
  const gateway = startProcess(t, ['run', '-c', file], COVERED)
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'ready when both are')
  t.equal(workerIds(gateway.child.pid).length, 2)

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
  // Each is a separate connection, which either worker may accept.
  for (let index = 0; index < 8; index++) t.equal(await call('/api/x', token), 200)

  t.equal(await call('/auth/logout', token, 'POST'), 204)
  const after: number[] = []
  await until(async () => {
    after.push(await call('/api/x', token))
    return after.slice(-8).filter((status) => status === 401).length === 8
  })

  const metrics = await (await fetch(`http://127.0.0.1:${servicePort}/metrics`)).text()
  t.match(metrics, /wxgate_workers 2/)
  t.match(metrics, /^wxgate_build_info\{version="\d[^"]*"\} 1$/m)
  t.match(metrics, /wxgate_logins_total\{app="wx1234567890abcdef",result="ok"\} 1\n/)
  const refused = after.filter((status) => status === 401).length
  t.match(metrics, `wxgate_request_duration_seconds_count{route="/api",status="401"} ${refused}\n`)

  const there = [...metrics.matchAll(/^# TYPE (\w+) (\w+)$/gm)]
    .map(([, name = '', type = '']) => `${name} ${type}`)
    .filter((line) => !/^(process|nodejs)_/.test(line))
  for (const [document, head] of [
    ['docs/operations.md', 'metric'],
    ['docs/operations.zh-CN.md', '指标']
  ] as const) {
    const told = tableOf(readDocument(document), head).map(([name = '', type = '']) => `${codesIn(name)[0]} ${type}`)
    // Those of an export are born with it.
    const always = told.filter((line) => !line.startsWith('wxgate_otlp_'))
    t.same(always.sort(), there.sort(), `${document} describes the metrics there are`)
  }

  const [victim = 0] = workerIds(gateway.child.pid)
  const replacement = await replaceWorker(gateway.child.pid, victim)
  process.kill(replacement, 'SIGSTOP')
  t.equal(await untilStatus(`${url}/readyz`, 503), 503, 'not ready while one is missing')
  process.kill(replacement, 'SIGCONT')
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'a dead worker is replaced')

  gateway.child.kill('SIGTERM')
  t.equal(await gateway.exited, 0)
  t.match(gateway.output(), /a worker died and is replaced/)
})

test('workers that cannot start end the group with a message', async (t) => {
  const upstream = await startUpstream(t)
  const { file } = writeConfig(t, {
    ...defaultConfig('http://127.0.0.1:1'),
    server: { host: '127.0.0.1', port: upstream.port, workers: 2 },
    service: { host: '127.0.0.1', port: await freePort() },
    store: 'sqlite:./state.db'
  })
  const gateway = startProcess(t, ['run', '-c', file])
  t.equal(await gateway.exited, 1)
  t.match(gateway.output(), /is in use/)
})

test('a worker that replaces another, and a drain, use the configuration in force, whatever the file holds', async (t) => {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(t, (req, res) => void (req.url === '/slow' ? held.push(res) : res.end()))
  const [port, servicePort, otherPort] = [await freePort(), await freePort(), await freePort()]
  const server = { host: '127.0.0.1', port, workers: 2, drain: { delay: '10ms', timeout: '100ms' } }
  const base = {
    ...defaultConfig(upstream.url),
    server,
    service: { host: '127.0.0.1', port: servicePort },
    store: 'sqlite:./state.db'
  }
  const publicRoute = (path: string) => ({ path, upstream: 'app', auth: 'public' })
  const routed = (path: string) => ({ ...base, routes: [publicRoute(path), publicRoute('/slow')] })
  const { file } = writeConfig(t, routed('/one'))
  const { child, output, exited } = startProcess(t, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200)
  const isReloaded = async () =>
    /wxgate_config_last_reload_successful (\d)/.exec(
      await (await fetch(`http://127.0.0.1:${servicePort}/metrics`)).text()
    )?.[1]
  const replaceOne = async () => {
    const [victim = 0] = workerIds(child.pid)
    await replaceWorker(child.pid, victim)
    t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'the group is whole again')
  }
  // Each is a separate connection, which the workers accept in turn.
  const statuses = async (path: string) => {
    const found = new Set<number>()
    for (let index = 0; index < 4; index++)
      found.add((await fetch(url + path, { headers: { connection: 'close' } })).status)
    return [...found]
  }

  writeFileSync(file, JSON.stringify(routed('/two')))
  child.kill('SIGHUP')
  const reloads = () => output().split('the configuration was reloaded').length - 1
  await until(() => reloads() >= 2)
  t.same(await statuses('/two'), [200])

  writeFileSync(file, 'version: 1\nroutes: [ { path: /thr')
  await replaceOne()
  t.same(await statuses('/two'), [200], 'the last applied configuration, not that of the start')
  await until(async () => (await isReloaded()) === '0')

  writeFileSync(file, JSON.stringify({ ...routed('/three'), server: { ...server, port: otherPort } }))
  await replaceOne()
  t.same(await statuses('/three'), [404], 'a change that needs a restart is not applied in part')
  t.equal(await statusOf(`http://127.0.0.1:${otherPort}/readyz`), 0)

  const repaired = { ...routed('/four'), server: { ...server, drain: { delay: '10ms', timeout: '20s' } } }
  writeFileSync(file, JSON.stringify(repaired))
  await until(async () => (await isReloaded()) === '1')
  t.same(await statuses('/four'), [200], 'every worker has applied the repaired file')

  const slow = fetch(`${url}/slow`, { headers: { connection: 'close' } })
  await until(() => held.length === 1)
  child.kill('SIGTERM')
  // Longer than the drain of the start and the extra time of a stuck worker.
  await new Promise((resolve) => setTimeout(resolve, 2_600))
  held[0]?.end('late')
  t.equal(await (await slow).text(), 'late', 'the drain of the configuration in force, not that of the start')
  t.equal(await exited, 0)
})
