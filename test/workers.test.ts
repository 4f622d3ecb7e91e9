import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { type Test, t as tap, test } from 'tap'
import { defaultConfig } from './support/gateway.ts'
import { codesIn, readDocument, tableOf } from './support/markdown.ts'
import { childrenOf, freePort, startProcess, statusOf, untilStatus, writeConfig } from './support/process.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

/** Two workers, which start once for several tests. The last of these ends them. */
async function startGroup() {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(tap, (req, res) => void (req.url === '/slow' ? held.push(res) : res.end()))
  const [port, servicePort] = [await freePort(), await freePort()]
  const server = { host: '127.0.0.1', port, workers: 2, drain: { delay: '10ms', timeout: '100ms' } }
  const service = { host: '127.0.0.1', port: servicePort }
  const base = { ...defaultConfig(upstream.url), server, service, store: 'sqlite:./state.db' }
  const publicRoute = (path: string) => ({ path, upstream: 'app', auth: 'public' })
  const routed = (...paths: string[]) => ({ ...base, routes: [...paths, '/slow'].map(publicRoute) })
  const { file } = writeConfig(tap, base)
  const { child, output, exited } = startProcess(tap, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  const ready = await untilStatus(`${url}/readyz`, 200)
  if (ready !== 200) throw new Error(`${ready}: ${output()}`)
  return {
    child,
    output,
    exited,
    url,
    held,
    server,
    routed,
    metrics: async () => (await fetch(`http://127.0.0.1:${servicePort}/metrics`)).text(),
    write: (content: unknown) => writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content)),
    /** Statuses of separate connections, which the workers accept in turn. */
    async statuses(path: string) {
      const found = new Set<number>()
      for (let index = 0; index < 4; index++) found.add(await statusOf(url + path, { connection: 'close' }))
      return [...found]
    }
  }
}

type Group = Awaited<ReturnType<typeof startGroup>>

let group: Promise<Group> | undefined

function groupTest(title: string, run: (t: Test, group: Group) => Promise<void>): void {
  test(title, async (t) => {
    group ??= startGroup()
    await run(t, await group)
  })
}

/** Kills one worker and waits for its replacement, which need not be ready yet. @returns The
 *  new process. */
async function replaceWorker(primary: number | undefined, victim: number): Promise<number> {
  const before = childrenOf(primary)
  process.kill(victim, 'SIGKILL')
  const replacement = () => childrenOf(primary).find((id) => !before.includes(id))
  await until(() => replacement() !== undefined)
  return replacement() ?? 0
}

groupTest('two workers are one gateway: one port, one readiness, one set of metrics', async (t, group) => {
  const { child, output, url } = group
  t.equal(childrenOf(child.pid).length, 2)

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

  const metrics = await group.metrics()
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

  const [victim = 0] = childrenOf(child.pid)
  const replacement = await replaceWorker(child.pid, victim)
  process.kill(replacement, 'SIGSTOP')
  t.equal(await untilStatus(`${url}/readyz`, 503), 503, 'not ready while one is missing')
  process.kill(replacement, 'SIGCONT')
  t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'a dead worker is replaced')
  t.match(output(), /a worker died and is replaced/)
})

groupTest('SIGHUP reloads any number of times, on every worker, and no request is lost', async (t, group) => {
  const { child, url } = group
  // A route of every configuration, the first included: a request finds it on any worker at any
  // time.
  const kept = '/public'
  let isOver = false
  const found: number[] = []
  const traffic = (async () => {
    while (!isOver) found.push(await statusOf(url + kept, { connection: 'close' }))
  })()
  const rounds = 12
  for (let round = 1; round <= rounds; round++) {
    group.write(group.routed(kept, `/round-${round}`))
    child.kill('SIGHUP')
    const before = found.length
    await until(() => found.length > before)
  }
  await until(async () => (await group.statuses(`/round-${rounds}`)).join() === '200')
  isOver = true
  await traffic
  t.same([...new Set(found)], [200], `${found.length} requests meanwhile`)
})

groupTest(
  'a worker that replaces another, and a drain, use the configuration in force, whatever the file holds',
  async (t, group) => {
    const { child, exited, url, held, server, routed, statuses } = group
    const isReloaded = async () => /wxgate_config_last_reload_successful (\d)/.exec(await group.metrics())?.[1]
    const replaceOne = async () => {
      const [victim = 0] = childrenOf(child.pid)
      await replaceWorker(child.pid, victim)
      t.equal(await untilStatus(`${url}/readyz`, 200), 200, 'the group is whole again')
    }

    group.write(routed('/two'))
    child.kill('SIGHUP')
    await until(async () => (await statuses('/two')).join() === '200')

    group.write('version: 1\nroutes: [ { path: /thr')
    await replaceOne()
    t.same(await statuses('/two'), [200], 'the last applied configuration, not that of the start')
    await until(async () => (await isReloaded()) === '0')

    const otherPort = await freePort()
    group.write({ ...routed('/three'), server: { ...server, port: otherPort } })
    await replaceOne()
    t.same(await statuses('/three'), [404], 'a change that needs a restart is not applied in part')
    t.equal(await statusOf(`http://127.0.0.1:${otherPort}/readyz`), 0)

    const repaired = { ...routed('/four'), server: { ...server, drain: { delay: '10ms', timeout: '20s' } } }
    group.write(repaired)
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
  }
)

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
