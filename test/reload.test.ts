/** A reload takes over a good file, changes only what changed, and an old configuration ends with
 *  its last request. */
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { createLender } from '../src/gateway/lender.ts'
import type { StatusAnswer } from '../src/service/status/status.ts'
import { configText, load } from './support/config.ts'
import { APPID, buildTestGateway, defaultConfig, readTestConfig } from './support/gateway.ts'
import { freePort, startProcess, statusOf, untilStatus, writeConfig } from './support/process.ts'
import { openClient, type RawClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const withRoutes = (upstream: string, ...paths: string[]) => ({
  ...defaultConfig(upstream),
  routes: paths.map((path) => ({ path, upstream: 'app', auth: 'public' }))
})

const OPERATOR = 'operator-token-0123456789'

async function startGateway(t: Test) {
  const upstream = await startUpstream(t)
  const [port, servicePort] = [await freePort(), await freePort()]
  const config = (...paths: string[]) => ({
    ...withRoutes(upstream.url, ...paths),
    server: { host: '127.0.0.1', port, drain: { delay: '10ms', timeout: '1s' } },
    service: { host: '127.0.0.1', port: servicePort, tokens: [{ name: 'a', token: OPERATOR, scopes: ['admin'] }] },
    store: 'sqlite:./state.db'
  })
  const { folder, file } = writeConfig(t, config('/one'))
  const { child, output } = startProcess(t, ['run', '-c', file])
  const url = `http://127.0.0.1:${port}`
  t.equal(await untilStatus(`${url}/readyz`, 200), 200)
  const metric = async () =>
    /wxgate_config_last_reload_successful (\d)/.exec(
      await (await fetch(`http://127.0.0.1:${servicePort}/metrics`)).text()
    )?.[1]
  const status = async () => {
    const headers = { authorization: `Bearer ${OPERATOR}` }
    return (await (await fetch(`http://127.0.0.1:${servicePort}/v1/status`, { headers })).json()) as StatusAnswer
  }
  return {
    child,
    output,
    url,
    folder,
    file,
    config,
    metric,
    status,
    write: (text: unknown) => write(file, text)
  }
}

function write(file: string, content: unknown): void {
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
}

test('a changed file is applied by itself, and an invalid one leaves the last valid one in force', async (t) => {
  const gateway = await startGateway(t)
  const { url } = gateway
  t.equal(await untilStatus(`${url}/one`, 200), 200)
  t.equal(await gateway.metric(), '1')

  gateway.write(gateway.config('/one', '/two'))
  t.equal(await untilStatus(`${url}/two`, 200), 200, 'a new route')

  gateway.write('version: 1\nroutes: [ { path: /thr')
  await until(async () => (await gateway.metric()) === '0')
  t.equal(await statusOf(`${url}/two`), 200, 'half a file changes nothing')
  await until(() => gateway.output().includes('not valid; the one before stays in force'))
  const broken = await gateway.status()
  t.match(broken.configuration, { file: gateway.file, last_reload: { is_successful: false, problems: [/yaml:2/] } })
  t.same(
    broken.routes.map(({ path, place }) => [path, place]),
    [
      ['/one', 'gateway.yaml:1'],
      ['/two', 'gateway.yaml:1']
    ],
    'the status shows the configuration in force'
  )

  // As vim and Kubernetes do: another file replaces the path, which may be absent for a moment.
  const next = join(gateway.folder, 'next.yaml')
  write(next, gateway.config('/three'))
  rmSync(gateway.file)
  gateway.child.kill('SIGHUP')
  await until(() => gateway.output().includes('there is no such file'))
  t.equal(await statusOf(`${url}/two`), 200)
  renameSync(next, gateway.file)
  t.equal(await untilStatus(`${url}/three`, 200), 200)
  t.equal(await statusOf(`${url}/two`), 404, 'a removed route is gone')
  t.equal(await gateway.metric(), '1')
  const mended = await gateway.status()
  t.match(mended.configuration.last_reload, { is_successful: true, problems: [] })
  t.ok(mended.configuration.read_at > broken.configuration.read_at)

  const dated = join(gateway.folder, 'dated.yaml')
  write(dated, gateway.config('/dated'))
  utimesSync(dated, 0, 0)
  renameSync(dated, gateway.file)
  t.equal(await untilStatus(`${url}/dated`, 200), 200, 'a file dated 1970')

  const withLateSecret = { ...gateway.config('/late'), secrets: [{ file: 'late-secret' }] }
  gateway.write(withLateSecret)
  await until(async () => (await gateway.metric()) === '0')
  write(join(gateway.folder, 'late-secret'), 'a-secret-of-more-than-32-characters-after-its-name')
  t.equal(await untilStatus(`${url}/late`, 200), 200, 'a file that is created after the key that names it')

  gateway.write({ ...gateway.config('/four'), store: 'sqlite:./other.db' })
  await until(async () => (await gateway.metric()) === '0')
  t.equal(await statusOf(`${url}/four`), 404, 'all or nothing')
  await until(() => gateway.output().includes('store can only be changed by a restart'))
})

test('a reload keeps sessions, ends running requests as they began, and applies new keys and apps', async (t) => {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(t, (_req, res, seen) => {
    if (seen.url === '/api/slow') held.push(res)
    else res.end()
  })
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  const slow = gateway.call('/api/slow', { token })
  await until(() => held.length === 1)

  const base = defaultConfig(upstream.url)
  const secrets = ['another-secret-of-more-than-32-characters', ...(base.secrets as string[])]
  await gateway.gateway.reload({ ...readTestConfig({ ...base, secrets }), server: gateway.config.server })
  held[0]?.end()
  t.equal((await slow).status, 200, 'a running request')
  t.equal((await gateway.call('/api/x', { token })).status, 200, 'a token of the previous secret')
  const fresh = await gateway.login('bob')
  t.equal(fresh.status, 200)

  const removed = { ...base, secrets: secrets.slice(0, 1), apps: [{ appid: 'wx00000000000000aa', secret: 'x' }] }
  await gateway.gateway.reload({ ...readTestConfig(removed), server: gateway.config.server })
  t.equal((await gateway.call('/api/x', { token })).status, 401, 'a removed secret')
  t.equal((await gateway.call('/api/x', { token: fresh.access_token })).status, 401, `a removed app: ${APPID}`)
  await t.rejects(gateway.gateway.reload({ ...gateway.config, service: { ...gateway.config.service, port: 9 } }), {
    message: /service\.port can only be changed by a restart/
  })
})

test('a reload decides again about trusted proxies, also on open connections', async (t) => {
  const upstream = await startUpstream(t)
  const trusting = (...trustedProxies: string[]) => ({ host: '127.0.0.1', port: 1, trustedProxies })
  const gateway = await buildTestGateway(t, upstream.url, { config: { server: trusting('127.0.0.1') } })
  const client = await openClient(t, gateway.port)
  const forwardedFor = async (from: RawClient) => {
    from.send('GET /public/x HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n')
    t.equal((await from.response()).status, 200)
    return upstream.seen.at(-1)?.headers['x-forwarded-for']
  }
  const reload = async (...trustedProxies: string[]) => {
    const config = readTestConfig({ ...defaultConfig(upstream.url), server: trusting(...trustedProxies) })
    await gateway.gateway.reload({ ...config, service: gateway.config.service })
  }
  t.equal(await forwardedFor(client), '192.0.2.9, 127.0.0.1')
  await reload()
  t.equal(await forwardedFor(client), '127.0.0.1', 'no longer trusted')
  t.equal(await forwardedFor(await openClient(t, gateway.port)), '127.0.0.1', 'nor is a new connection')
  await reload('127.0.0.0/8')
  t.equal(await forwardedFor(client), '192.0.2.9, 127.0.0.1', 'believed again')
})

test('a part is built again only when something that it depends on has changed', async (t) => {
  const lender = createLender()
  const closed: string[] = []
  const first = lender.open()
  const ring = await first.borrow('ring', [['secret']], () => ({ name: 'ring' }))
  const tokens = await first.borrow(
    'tokens',
    [ring, 10],
    () => ({ name: 'tokens 10' }),
    ({ name }) => void closed.push(name)
  )
  const second = lender.open()
  t.equal(await second.borrow('ring', [['secret']], () => ({ name: 'other' })), ring)
  const others = await second.borrow('tokens', [ring, 20], () => ({ name: 'tokens 20' }))
  t.not(others, tokens)
  await first.release()
  t.same(closed, ['tokens 10'], 'the last user closes a part')
  const third = lender.open()
  t.equal(await third.borrow('tokens', [ring, 20], () => ({ name: 'tokens 30' })), others)
  t.not(await third.borrow('ring', [['another']], () => ({ name: 'ring' })), ring)
})

test('comments, blank lines and other spellings of the same values are no change', (t) => {
  const text = configText({ routes: '[{ path: /api, upstream: orders, timeout: 60s }]' })
  const other = `# why\n\n${text.replace('timeout: 60s', 'auth: required, timeout: 1m').replace('}]', '} ] # here')}`
  const configOf = (written: string) => {
    const loaded = load(written)
    // A reload compares these texts.
    return loaded.ok ? JSON.stringify(loaded.config) : loaded.problems
  }
  t.equal(configOf(other), configOf(text))
  t.not(configOf(text.replace('60s', '61s')), configOf(text))
  t.end()
})

test('a changed route keeps the tokens and the upstreams of the rest', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  t.equal((await gateway.call('/api/x', { token })).status, 200)
  const before = gateway.gateway.parts
  const config = defaultConfig(upstream.url)
  const routes = [...(config.routes as object[]), { path: '/more', upstream: 'app', auth: 'public' }]
  const next = readTestConfig({ ...config, routes })
  await gateway.gateway.reload({ ...next, server: gateway.config.server, service: gateway.config.service })
  const after = gateway.gateway.parts
  t.equal((await gateway.call('/more')).status, 200)
  t.equal(after.accessTokens, before.accessTokens)
  t.equal(after.upstreams, before.upstreams)
  t.ok(after.accessTokens.recall(`Bearer ${token}`))
})

test('a running request ends under the configuration it began with, which ends with it', async (t) => {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(t, (_req, res) => void held.push(res))
  const other = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const answer = gateway.call('/public/x')
  await until(() => held.length === 1)
  const next = readTestConfig(defaultConfig(other.url))
  await gateway.gateway.reload({ ...next, server: gateway.config.server, service: gateway.config.service })
  t.equal((await gateway.call('/public/y')).status, 200)
  t.equal(other.seen.length, 1)
  held[0]?.end('late')
  t.equal(await (await answer).text(), 'late')
})
