/** The way to WeChat: an outbound proxy, and a fallback while no connection to the main base
 *  opens. */
import { createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Test, test } from 'tap'
import { checkWeChat } from '../src/cli/doctor/wechat.ts'
import { systemClock } from '../src/clock.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { hasOpenssl } from './support/certificates.ts'
import { startConnectProxy } from './support/connect-proxy.ts'
import { call, callsOf, TOKEN_CALL } from './support/egress.ts'
import { APP_SECRET, APPID, buildTestGateway } from './support/gateway.ts'
import { listen } from './support/listen.ts'
import { freePort } from './support/process.ts'
import { startUpstream } from './support/upstream.ts'

const PASSWORD = 'canary/p@ss:word'
const CREDENTIALS = `Basic ${Buffer.from(`out user:${PASSWORD}`).toString('base64')}`
const userInfo = `out%20user:${encodeURIComponent(PASSWORD)}`
const app = { appId: APPID, name: null, secret: APP_SECRET }

async function startSandbox(t: Test) {
  const sandbox = createSandbox({ clock: systemClock })
  const { port, url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  return { sandbox, port, url }
}

async function build(t: Test, sandbox: ReturnType<typeof createSandbox>, wechat: Record<string, unknown>) {
  const config = { wechat: { timeout: '30s', ...wechat } }
  return buildTestGateway(t, (await startUpstream(t)).url, { sandbox, config })
}

const check = (wechat: { apiBase: string; fallbackBase?: string; proxy?: string }, timeout = 10_000) =>
  checkWeChat({ fallbackBase: null, proxy: null, ...wechat, timeout, apps: [app], now: Date.now })

test('login, token, egress and checks go through the proxy, with its credentials', async (t) => {
  const { sandbox, port } = await startSandbox(t)
  const proxy = await startConnectProxy(t, port)
  const proxyUrl = `http://${userInfo}@127.0.0.1:${proxy.port}`
  // Only the proxy knows this name.
  const apiBase = 'http://wechat.invalid:8443'
  const gateway = await build(t, sandbox, { apiBase, proxy: proxyUrl })
  t.equal((await gateway.login('alice')).status, 200)
  const answer = await call(gateway, '/wxa/some/call', { method: 'POST', body: '{"a":1}' })
  t.match(await answer.json(), { errcode: 0, echo: { body_bytes: 7 } })
  t.match((await check({ apiBase, proxy: proxyUrl }))[0], { status: 'ok' })
  t.same(sandbox.state.calls.counts().byPath, { '/sns/jscode2session': 1, [TOKEN_CALL]: 2, '/wxa/some/call': 1 })
  t.ok(proxy.asked.length >= 3)
  for (const asked of proxy.asked) t.same(asked, { authority: 'wechat.invalid:8443', authorization: CREDENTIALS })
  t.notMatch(gateway.lines.join(''), /canary\/p|out%20user/)
})

test('a proxy without credentials gets none, and TLS goes through its tunnel to the name of WeChat', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const { key, cert } = certificates.make('elsewhere', 'DNS:elsewhere.example')
  const names: string[] = []
  const record = (name: string, done: (error: null) => void) => {
    names.push(name)
    done(null)
  }
  const server = createTlsServer({ key, cert, SNICallback: record })
  server.on('tlsClientError', () => {})
  const proxy = await startConnectProxy(t, await listen(t, server))
  const [finding] = await check({ apiBase: 'https://wechat.invalid', proxy: `http://127.0.0.1:${proxy.port}` })
  t.match(finding, { status: 'failed', message: /DEPTH_ZERO_SELF_SIGNED_CERT|ERR_TLS/ })
  t.same(proxy.asked[0], { authority: 'wechat.invalid:443', authorization: undefined })
  t.equal(names[0], 'wechat.invalid')
})

test('a proxy that fails or refuses is named by doctor and log, without its password', async (t) => {
  const { sandbox, port, url } = await startSandbox(t)
  const refusing = await startConnectProxy(t, port, () => 407)
  const forbidding = await startConnectProxy(t, port, () => 403)
  const garbage = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.end('what?\r\n\r\n')))
  )
  const silent = await listen(
    t,
    createTcpServer((socket) => socket.on('error', () => {}).resume())
  )
  const cases: [number, RegExp][] = [
    [refusing.port, /the proxy refuses its user and password \(407\)/],
    [forbidding.port, /the proxy refuses the connection \(403\)/],
    [await freePort(), /the proxy cannot be reached: ECONNREFUSED/],
    [garbage, /the proxy cannot be reached: (?:HPE_|connection failed)/],
    [silent, /the proxy cannot be reached: timeout/]
  ]
  for (const [proxyPort, reason] of cases) {
    const proxy = `http://${userInfo}@127.0.0.1:${proxyPort}`
    const findings = await check({ apiBase: url, proxy }, 500)
    t.match(findings, [{ status: 'failed', message: reason, advice: /wechat\.proxy/ }], String(reason))
    t.notMatch(JSON.stringify(findings), /canary\/p|canary%2Fp|out user/)
  }
  const gateway = await build(t, sandbox, { apiBase: url, proxy: `http://${userInfo}@127.0.0.1:${refusing.port}` })
  t.match(await gateway.login('alice'), { status: 503, code: 'wechat_unavailable' })
  t.match(await (await call(gateway, '/a')).json(), { status: 503, code: 'wechat_unavailable' })
  t.match(gateway.lines.join(''), /the proxy refuses its user and password \(407\)/)
  t.notMatch(gateway.lines.join(''), /canary\/p|canary%2Fp|out user|Basic /)
  t.equal(sandbox.state.calls.counts().total, 0)
})

test('a reload changes the proxy', async (t) => {
  const { sandbox, port, url } = await startSandbox(t)
  const refusing = await startConnectProxy(t, port, () => 407)
  const good = await startConnectProxy(t, port)
  const gateway = await build(t, sandbox, { apiBase: url, proxy: `http://127.0.0.1:${refusing.port}` })
  t.equal((await gateway.login('alice')).status, 503)
  const { config } = gateway
  const wechat = { ...config.wechat, proxy: `http://127.0.0.1:${good.port}` }
  await gateway.gateway.reload({ ...config, wechat })
  t.equal((await gateway.login('bob')).status, 200)
  t.equal(good.asked.length, 1)
})

test('the fallback serves while no connection to the main base opens', async (t) => {
  const { sandbox, url } = await startSandbox(t)
  const apiBase = `http://127.0.0.1:${await freePort()}`
  const gateway = await build(t, sandbox, { apiBase, fallbackBase: url })
  t.equal((await gateway.login('alice')).status, 200)
  const body = JSON.stringify({ a: 'x'.repeat(200_000) })
  for (let count = 0; count < 3; count++)
    t.match(await (await call(gateway, '/wxa/call', { method: 'POST', body })).json(), { errcode: 0 })
  t.equal(callsOf(gateway, '/wxa/call'), 3, 'each call once')
  t.match((await check({ apiBase, fallbackBase: url }))[0], { status: 'ok' })
  t.equal(gateway.lines.filter((line) => line.includes('wechat_fallback')).length, 2, 'one line for each pool')
})

test('a call that may have reached the main base is not repeated at the fallback', async (t) => {
  const { sandbox, url } = await startSandbox(t)
  let asked = 0
  const main = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      asked++
      socket.resetAndDestroy()
    })
  })
  const apiBase = `http://127.0.0.1:${await listen(t, main)}`
  const gateway = await build(t, sandbox, { apiBase, fallbackBase: url })
  t.match(await gateway.login('alice'), { status: 503, code: 'wechat_unavailable' })
  t.equal(asked, 1)
  t.equal(sandbox.state.calls.counts().total, 0)
})

test('with both bases away a call fails as one without a fallback, and the main base is asked again', async (t) => {
  const { sandbox } = await startSandbox(t)
  const [main, fallback] = [await freePort(), await freePort()]
  const base = (port: number) => `http://127.0.0.1:${port}`
  const gateway = await build(t, sandbox, { apiBase: base(main), fallbackBase: base(fallback) })
  t.match(await gateway.login('alice'), { status: 503, code: 'wechat_unavailable' })
  const again = createSandbox({ clock: systemClock })
  await again.listen(main, '127.0.0.1')
  t.teardown(() => again.close())
  t.equal((await gateway.login('bob')).status, 200)
})
