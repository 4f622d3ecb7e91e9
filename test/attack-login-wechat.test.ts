/** Wrong answers of WeChat to a login, and codes that come twice: rows W01, W04 and W14 of the
 *  attack corpus. */
import { test } from 'tap'
import { systemClock } from '../src/clock.ts'
import type { ErrorCode } from '../src/errors.ts'
import { createSandbox } from '../src/sandbox/server.ts'
import { createTestClock } from './support/clock.ts'
import { APPID, OTHER_APPID } from './support/gateway.ts'
import { build, post, twoApps } from './support/login.ts'
import { isProblem } from './support/problems.ts'
import { freePort } from './support/process.ts'

const FAULTS: readonly (readonly [fault: string, code: ErrorCode])[] = [
  ['errcode--1', 'wechat_unavailable'],
  ['errcode-40029', 'code_invalid'],
  ['errcode-40163', 'code_used'],
  ['errcode-40226', 'login_blocked'],
  ['errcode-45011', 'rate_limited'],
  ['errcode-40013', 'wechat_misconfigured'],
  ['errcode-40125', 'wechat_misconfigured'],
  ['errcode-40164', 'wechat_misconfigured'],
  ['errcode-41002', 'wechat_misconfigured'],
  ['errcode-41008', 'invalid_request'],
  ['errcode-99999', 'wechat_unavailable'],
  ['status-400', 'wechat_unavailable'],
  ['status-404', 'wechat_unavailable'],
  ['status-500', 'wechat_unavailable'],
  ['status-502', 'wechat_unavailable'],
  ['status-503', 'wechat_unavailable'],
  ['html', 'wechat_unavailable'],
  ['empty', 'wechat_unavailable'],
  ['huge', 'wechat_unavailable'],
  ['array', 'wechat_unavailable'],
  ['reset', 'wechat_unavailable'],
  ['truncated', 'wechat_unavailable'],
  ['garbage', 'wechat_unavailable'],
  ['no-openid', 'wechat_unavailable'],
  ['bad-openid', 'wechat_unavailable'],
  ['two-openids', 'wechat_unavailable'],
  ['no-session-key', 'wechat_unavailable'],
  ['bad-session-key', 'wechat_unavailable']
]

test('W04 each answer of WeChat to a login has one meaning, found with one call', async (t) => {
  const { gateway, exchanges } = await build(t)
  for (const [fault, code] of FAULTS) {
    const before = exchanges()
    const response = await post(gateway, '/auth/login', { code: `sandbox-${fault}` })
    await isProblem(t, response, code, fault)
    t.equal(exchanges(), before + 1, `${fault}: asked once`)
  }
  const busy = await post(gateway, '/auth/login', { code: 'sandbox-errcode-45011-x' })
  t.equal(busy.headers.get('retry-after'), '60')
  for (const shape of ['errcode-zero', 'errcode-text', 'bom', 'json-type', 'no-unionid', 'empty-unionid', 'slow-50'])
    t.equal((await gateway.login(`sandbox-${shape}-alice`)).status, 200, shape)
})

test('W04 a login that WeChat does not answer in time is wechat_unavailable, after one call', async (t) => {
  const { gateway, exchanges } = await build(t, { wechat: { apiBase: 'sandbox', timeout: '400ms' } })
  const faults = ['hang', 'drip', 'slow-60000']
  await Promise.all(
    faults.map(async (fault) => {
      const response = await post(gateway, '/auth/login', { code: `sandbox-${fault}` })
      await isProblem(t, response, 'wechat_unavailable', fault)
    })
  )
  t.equal(exchanges(), faults.length)
})

test('W04 a code that may be spent is not sent again', async (t) => {
  const { gateway, exchanges } = await build(t)
  for (const kind of ['reset', 'truncated', 'html'] as const) {
    gateway.sandbox.state.faults.add({
      path: '/sns/jscode2session',
      fault: { kind },
      appId: null,
      times: 1,
      skip: 0,
      after: true
    })
    const code = gateway.sandbox.state.codes.mint({ kind: 'login', name: 'alice', appId: APPID })
    const before = exchanges()
    await isProblem(t, await post(gateway, '/auth/login', { code }), 'wechat_unavailable', kind)
    t.equal(exchanges(), before + 1, kind)
    await isProblem(
      t,
      await post(gateway, '/auth/login', { code }),
      'code_used',
      `${kind}: when the client tries again`
    )
  }
})

test('without WeChat logins are 503, and work again when it is back', async (t) => {
  const sandbox = createSandbox({ clock: systemClock })
  const { url, port } = await sandbox.listen(await freePort())
  t.teardown(() => sandbox.close())
  const { gateway } = await build(t, { wechat: { apiBase: url, timeout: '60s' } }, { sandbox })
  await sandbox.close()
  const tries = await Promise.all(
    Array.from({ length: 20 }, (_, i) => post(gateway, '/auth/login', { code: `sandbox-u${i}` }))
  )
  for (const response of tries) await isProblem(t, response, 'wechat_unavailable')
  await sandbox.listen(port)
  t.equal((await gateway.login('alice')).status, 200)
})

test('W01 a code posted many times at once is exchanged once, and every sender gets the same answer', async (t) => {
  const { gateway, exchanges } = await build(t)
  const body = { code: 'sandbox-slow-100-alice-once' }
  const answers = await Promise.all(
    Array.from({ length: 10 }, async () => (await post(gateway, '/auth/login', body)).text())
  )
  t.equal(new Set(answers).size, 1)
  t.match(JSON.parse(answers[0] ?? ''), { user: { is_new: true } })
  t.equal(exchanges(), 1)
  t.equal(await (await post(gateway, '/auth/login', body)).text(), answers[0], 'and again a moment later')
  t.equal(exchanges(), 1)
})

test('W01 a refused code stays refused for concurrent senders; a failure is not remembered', async (t) => {
  const { gateway, exchanges } = await build(t)
  const all = await Promise.all(
    Array.from({ length: 5 }, () => post(gateway, '/auth/login', { code: 'sandbox-errcode-40029-alice' }))
  )
  for (const response of all) await isProblem(t, response, 'code_invalid')
  await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-errcode-40029-alice' }), 'code_invalid')
  t.equal(exchanges(), 1)
  const fault = { kind: 'errcode' as const, errcode: -1 }
  gateway.sandbox.state.faults.add({ path: '*', fault, appId: null, times: 1, skip: 0, after: false })
  const code = 'sandbox-alice-fresh'
  await isProblem(t, await post(gateway, '/auth/login', { code }), 'wechat_unavailable')
  t.equal((await post(gateway, '/auth/login', { code })).status, 200, 'WeChat was busy: the code is still valid')
})

test('a code whose session has since ended gives no more tokens', async (t) => {
  for (const body of ['', '{"all":true}']) {
    const { gateway } = await build(t)
    const { access_token: token } = await gateway.login('sandbox-alice-1')
    t.equal((await post(gateway, '/auth/logout', body, { headers: { authorization: `Bearer ${token}` } })).status, 204)
    await isProblem(t, await post(gateway, '/auth/login', { code: 'sandbox-alice-1' }), 'code_used', body)
  }
})

test('a reusable code of the sandbox logs in again after a logout', async (t) => {
  const { gateway } = await build(t)
  const first = await gateway.login('sandbox-alice')
  const headers = { authorization: `Bearer ${first.access_token}` }
  t.equal((await post(gateway, '/auth/logout', '', { headers })).status, 204)
  const second = await gateway.login('sandbox-alice')
  t.equal(second.status, 200)
  t.not(second.access_token, first.access_token)
  t.equal((await gateway.call('/api/x', { token: second.access_token })).status, 200)
})

test('W14 logins are limited before WeChat, by address or by app, and the window ends', async (t) => {
  for (const by of ['ip', 'app']) {
    const clock = createTestClock(1_800_000_000_000)
    const server = { host: '127.0.0.1', port: 1, loginLimit: { max: 3, window: '1m', by } }
    const { gateway, exchanges } = await build(t, { server, apps: twoApps }, { clock })
    const attempt = (index: number, appid: string) => post(gateway, '/auth/login', { code: `random${index}`, appid })
    for (let index = 0; index < 3; index++) await isProblem(t, await attempt(index, APPID), 'code_invalid')
    for (let index = 3; index < 30; index++) {
      const response = await attempt(index, APPID)
      t.equal(response.headers.get('retry-after'), '60')
      await isProblem(t, response, 'rate_limited')
    }
    t.equal(exchanges(), 3, `by ${by}`)
    const other = await attempt(99, OTHER_APPID)
    await isProblem(t, other, by === 'ip' ? 'rate_limited' : 'code_invalid', `another app, by ${by}`)
    clock.advance(60_000)
    t.equal((await gateway.login('alice', APPID)).status, 200)
  }
})
