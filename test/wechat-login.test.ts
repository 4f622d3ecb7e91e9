import { execFileSync } from 'node:child_process'
import { lookup } from 'node:dns'
import { createServer, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Test, test } from 'tap'
import { createWeChat } from '../src/platforms/wechat/client.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { createTestClock } from './support/clock.ts'
import { freePort } from './support/process.ts'
import { until } from './support/until.ts'
import { buildWeChat, createTestLog, SHOP } from './support/wechat.ts'

const LOGIN = '/sns/jscode2session'

test('a code becomes openid, unionid and session_key', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const first = await wechat.login(SHOP, 'sandbox-alice')
  t.match(first.openId, /^o[\w-]{27}$/)
  t.match(first.unionId, /^u[\w-]{27}$/)
  t.equal(Buffer.from(first.sessionKey, 'base64').length, 16)
  t.equal(sandbox.state.people.sessionKeys(SHOP.appId, first.openId).current, first.sessionKey)
  const second = await wechat.login(SHOP, 'sandbox-alice')
  t.equal(second.openId, first.openId)
  t.not(second.sessionKey, first.sessionKey, 'each login rotates the key')
})

test('a path in apiBase is put before every call', async (t) => {
  const { url, sandbox } = await buildWeChat(t)
  const { log } = createTestLog()
  const clock = createTestClock(Date.UTC(2026, 10, 23))
  const { store } = await buildWeChat(t)
  const wechat = createWeChat({
    apiBase: `${url}/proxy/`,
    fallbackBase: null,
    proxy: null,
    timeout: 2000,
    lookup,
    store,
    clock,
    log
  })
  t.teardown(() => wechat.close())
  await t.rejects(wechat.login(SHOP, 'sandbox-alice'), { code: 'wechat_misconfigured' })
  t.equal(sandbox.state.calls.list()[0]?.path, `/proxy${LOGIN}`)
})

const REFUSALS = [
  ['sandbox-errcode--1', 'wechat_unavailable', 503],
  ['sandbox-errcode-40029', 'code_invalid', 401],
  ['no-such-code', 'code_invalid', 401],
  ['sandbox-errcode-40163', 'code_used', 401],
  ['sandbox-errcode-40226', 'login_blocked', 403],
  ['sandbox-errcode-45011', 'rate_limited', 429],
  ['sandbox-errcode-41008', 'invalid_request', 400],
  ['sandbox-errcode-40013', 'wechat_misconfigured', 502],
  ['sandbox-errcode-40125', 'wechat_misconfigured', 502],
  ['sandbox-errcode-40002', 'wechat_misconfigured', 502],
  ['sandbox-errcode-41002', 'wechat_misconfigured', 502],
  ['sandbox-errcode-41004', 'wechat_misconfigured', 502],
  ['sandbox-errcode-40164', 'wechat_misconfigured', 502],
  ['sandbox-errcode-40243', 'wechat_misconfigured', 502],
  ['sandbox-errcode-50007', 'wechat_misconfigured', 502],
  ['sandbox-errcode-12345', 'wechat_unavailable', 503]
] as const

test("WeChat's error codes map to the catalogue, with the trace id in the log", async (t) => {
  const { wechat, lines, callsOf } = await buildWeChat(t)
  for (const [code, expected, status] of REFUSALS) {
    const before = callsOf(LOGIN)
    await t.rejects(wechat.login(SHOP, code), { name: 'ApiError', code: expected, status }, code)
    t.equal(callsOf(LOGIN), before + 1, 'asked once')
    t.match(JSON.parse(lines.at(-1) ?? '{}'), { errcode: Number, rid: /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$/ }, code)
  }
  const limited = await wechat.login(SHOP, 'sandbox-errcode-45011').catch((error) => error)
  t.match(limited.headers, { 'retry-after': '60' })
})

const NO_ANSWERS = [
  'sandbox-html',
  'sandbox-empty',
  'sandbox-huge',
  'sandbox-reset',
  'sandbox-truncated',
  'sandbox-garbage',
  'sandbox-array',
  'sandbox-no-openid',
  'sandbox-bad-openid',
  'sandbox-two-openids',
  'sandbox-no-session-key',
  'sandbox-bad-session-key',
  'sandbox-status-500',
  'sandbox-status-302',
  'sandbox-status-404',
  'sandbox-status-204'
]

test('an invalid answer is wechat_unavailable, and the code is not sent again', async (t) => {
  const { wechat, callsOf } = await buildWeChat(t)
  for (const code of NO_ANSWERS) {
    const before = callsOf(LOGIN)
    const failure = { name: 'ApiError', code: 'wechat_unavailable', status: 503, headers: { 'retry-after': /^\d+$/ } }
    await t.rejects(wechat.login(SHOP, code), failure, code)
    t.equal(callsOf(LOGIN), before + 1, `${code} asked once`)
  }
})

test('unusual but valid answers are accepted', async (t) => {
  const { wechat } = await buildWeChat(t)
  for (const code of ['sandbox-bom', 'sandbox-errcode-zero', 'sandbox-errcode-text', 'sandbox-json-type']) {
    t.match(await wechat.login(SHOP, code), { openId: String, unionId: String }, code)
  }
  for (const code of ['sandbox-no-unionid', 'sandbox-empty-unionid']) {
    t.equal((await wechat.login(SHOP, code)).unionId, null, code)
  }
})

test('a login that WeChat does not answer in time is given up', async (t) => {
  const { wechat, callsOf } = await buildWeChat(t, { timeout: 300 })
  const codes = ['sandbox-hang', 'sandbox-drip', 'sandbox-slow-5000']
  await Promise.all(codes.map((code) => t.rejects(wechat.login(SHOP, code), { code: 'wechat_unavailable' }, code)))
  t.equal(callsOf(LOGIN), codes.length)
})

test('logins given up while they waited for a connection are not sent later', async (t) => {
  const count = 600
  const { wechat, sandbox, callsOf } = await buildWeChat(t, { timeout: 1_000 })
  sandbox.state.faults.add({ path: LOGIN, fault: { kind: 'hang' }, appId: null, times: count, skip: 0, after: false })
  const logins = Array.from({ length: count }, () => wechat.login(SHOP, 'sandbox-alice'))
  const outcomes = await Promise.allSettled(logins)
  t.ok(outcomes.every(({ status }) => status === 'rejected'))
  sandbox.state.faults.clear()
  // Asks until the sandbox accepts again: it must first release connections.
  await until(() =>
    wechat.login(SHOP, 'sandbox-alice').then(
      () => true,
      () => false
    )
  )
  // The first calls took all connections; some of the last ones still had a moment left when those
  // were given up.
  const sent = callsOf(LOGIN)
  t.ok(sent < count, `${sent} of ${count} were sent`)
  await wechat.login(SHOP, 'sandbox-alice')
  t.equal(callsOf(LOGIN), sent + 1)
})

test('a login whose connection cannot be made is wechat_unavailable', async (t) => {
  const { sandbox, wechat, lines } = await buildWeChat(t)
  await sandbox.close()
  await t.rejects(wechat.login(SHOP, 'sandbox-alice'), { code: 'wechat_unavailable' })
  t.match(lines.join(''), /ECONNREFUSED/)
})

test('a login goes through once the refused connection comes back in time', async (t) => {
  const first = createSandbox({ clock: createTestClock(Date.UTC(2026, 10, 23)) })
  const { url, port } = await first.listen(await freePort())
  await first.close()
  const { wechat } = await buildWeChat(t, { apiBase: url })
  const login = wechat.login(SHOP, 'sandbox-alice')
  const again = createSandbox({ clock: createTestClock(Date.UTC(2026, 10, 23)) })
  t.teardown(() => again.close())
  setTimeout(() => again.listen(port), 20)
  t.match(await login, { openId: String })
})

test('a code whose answer was lost is not sent again', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t)
  const code = sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: null })
  sandbox.state.faults.add({ path: LOGIN, fault: { kind: 'reset' }, appId: null, times: 1, skip: 0, after: true })
  await t.rejects(wechat.login(SHOP, code), { code: 'wechat_unavailable' })
  t.equal(callsOf(LOGIN), 1)
  await t.rejects(wechat.login(SHOP, code), { code: 'code_used' }, 'because it was spent')
})

test('a peer that does not speak TLS is wechat_unavailable', async (t) => {
  const plain = createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 200 OK\r\n\r\n'))
  const { wechat } = await buildWeChat(t, { apiBase: `https://127.0.0.1:${await listen(t, plain)}` })
  await t.rejects(wechat.login(SHOP, 'sandbox-alice'), { code: 'wechat_unavailable' })
})

test('a certificate of an unknown authority is wechat_unavailable, and no secret is sent', async (t) => {
  const pem = selfSigned(t)
  if (pem === null) return
  let received = ''
  const tls = createTlsServer({ key: pem, cert: pem }, (socket) => {
    socket.on('error', () => {}).on('data', (data) => (received += data))
  })
  tls.on('tlsClientError', () => {})
  const { wechat, lines } = await buildWeChat(t, { apiBase: `https://localhost:${await listen(t, tls)}` })
  await t.rejects(wechat.login(SHOP, 'sandbox-alice'), { code: 'wechat_unavailable' })
  t.match(lines.join(''), /SELF_SIGNED/)
  t.equal(received, '')
})

async function listen(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Key and certificate for localhost, made now. */
function selfSigned(t: Test): string | null {
  const args =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost -keyout - -out -'
  try {
    return execFileSync('openssl', args.split(' '), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    if (process.env.CI) t.fail('openssl is needed')
    else t.comment('NOT TESTED: openssl is missing')
    return null
  }
}

test('the content of a code cannot change the call', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const code = 'x&secret=stolen&appid=wxother#%26\u0000 名'
  await t.rejects(wechat.login(SHOP, code), { code: 'code_invalid' })
  const [call] = sandbox.state.calls.list()
  t.match(call?.params, { appid: SHOP.appId, js_code: code, grant_type: 'authorization_code' })
})

test('100 logins at once use the pool and all succeed', async (t) => {
  const { wechat } = await buildWeChat(t)
  const users = Array.from({ length: 100 }, (_, i) => `sandbox-user${i}`)
  const logins = await Promise.all(users.map((code) => wechat.login(SHOP, code)))
  t.equal(new Set(logins.map(({ openId }) => openId)).size, 100)
})
