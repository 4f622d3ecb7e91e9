import { test } from 'tap'
import { StoreError } from '../src/errors.ts'
import type { Store } from '../src/store/port.ts'
import { until } from './support/until.ts'
import { buildWeChat, createTestSealer, SHOP } from './support/wechat.ts'

const STABLE = '/cgi-bin/stable_token'
const CHECK = '/wxa/checksession'
const MINUTE = 60_000

/** A store of which every operation fails, at once or never. */
function brokenStore(fail: () => Promise<never>): Store {
  const operations = ['get', 'set', 'delete', 'setIfAbsent', 'compareAndSet', 'take', 'increment', 'appendFeed', 'ping']
  return Object.fromEntries(operations.map((name) => [name, fail])) as unknown as Store
}

test('a token is fetched once, with the secret in the body, and used until it is due', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t)
  const token = await wechat.apiTokens.get(SHOP)
  t.equal(await wechat.apiTokens.get(SHOP), token)
  t.equal(callsOf(STABLE), 1)
  const [call] = sandbox.state.calls.list(STABLE)
  t.match(call?.params, { grant_type: 'client_credential', appid: SHOP.appId, secret: '***', force_refresh: false })
})

test('50 calls that need a token at the same time fetch it once', async (t) => {
  const { wechat, callsOf } = await buildWeChat(t, { latency: 20 })
  const tokens = await Promise.all(Array.from({ length: 50 }, () => wechat.apiTokens.get(SHOP)))
  t.equal(new Set(tokens).size, 1)
  t.equal(callsOf(STABLE), 1)
})

test('instances on one store fetch it once between them', async (t) => {
  const { wechat, another, callsOf } = await buildWeChat(t, { latency: 100 })
  const instances = [wechat, another(), another(), another()]
  const tokens = await Promise.all(instances.map(({ apiTokens }) => apiTokens.get(SHOP)))
  t.equal(new Set(tokens).size, 1)
  t.equal(callsOf(STABLE), 1)
  t.equal(await another().apiTokens.get(SHOP), tokens[0], 'one that starts later takes it from the store')
  t.equal(callsOf(STABLE), 1)
})

test('mini-programs do not share a token', async (t) => {
  const { wechat } = await buildWeChat(t)
  const other = { appId: 'wxother', secret: 'sandbox' }
  t.not(await wechat.apiTokens.get(SHOP), await wechat.apiTokens.get(other))
})

test('the store holds the token sealed, and a foreign record is not accepted', async (t) => {
  const { wechat, store, another, callsOf } = await buildWeChat(t)
  const token = await wechat.apiTokens.get(SHOP)
  const record = await store.get(`wechat:access-token:${SHOP.appId}`)
  t.ok(record)
  t.notOk(record?.includes(token))
  await another({ sealToken: createTestSealer() }).apiTokens.get(SHOP)
  t.equal(callsOf(STABLE), 2, 'WeChat was asked instead')
})

test('a token is renewed early, in the background, before its last five minutes', async (t) => {
  const { wechat, clock, callsOf } = await buildWeChat(t)
  const token = await wechat.apiTokens.get(SHOP)
  clock.advance(113 * MINUTE)
  t.equal(await wechat.apiTokens.get(SHOP), token)
  t.equal(callsOf(STABLE), 1, 'not yet')
  clock.advance(MINUTE + 59_000)
  t.equal(await wechat.apiTokens.get(SHOP), token, 'nobody waits')
  await t.resolves(until(() => callsOf(STABLE) === 2))
  // The answer to a later call comes after that of the renewal, whose time counts from its arrival.
  await wechat.login(SHOP, 'sandbox-alice')
  // WeChat issues another token only within the last five minutes.
  clock.advance(40_000)
  await wechat.apiTokens.get(SHOP)
  await t.resolves(until(() => callsOf(STABLE) === 3))
  await wechat.login(SHOP, 'sandbox-bob')
  await t.resolves(until(async () => (await wechat.apiTokens.get(SHOP)) !== token))
})

test('a token with less than a minute left is never handed out', async (t) => {
  const { wechat, clock } = await buildWeChat(t)
  const token = await wechat.apiTokens.get(SHOP)
  clock.advance(119 * MINUTE + 1000)
  t.not(await wechat.apiTokens.get(SHOP), token)
})

test('when early renewal fails the old token is still used, and WeChat is not called repeatedly', async (t) => {
  const { wechat, clock, sandbox, callsOf } = await buildWeChat(t)
  const token = await wechat.apiTokens.get(SHOP)
  sandbox.state.faults.add({ path: STABLE, fault: { kind: 'html' }, appId: null, times: 99, skip: 0, after: false })
  clock.advance(116 * MINUTE)
  for (let i = 0; i < 20; i += 1) t.equal(await wechat.apiTokens.get(SHOP), token)
  await until(() => callsOf(STABLE) === 2)
  for (let i = 0; i < 20; i += 1) await wechat.apiTokens.get(SHOP)
  t.equal(callsOf(STABLE), 2)
})

test('a rejected token is replaced and the call repeated, exactly once', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t)
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true)
  sandbox.state.accessTokens.kill(SHOP.appId)
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true, '40001')
  t.equal(callsOf(CHECK), 3)
  sandbox.state.accessTokens.expire(SHOP.appId)
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true, '42001')
  t.equal(callsOf(STABLE), 3)
  for (const errcode of [40001, 40014, 42001]) {
    const before = callsOf(CHECK)
    const fault = { kind: 'errcode', errcode } as const
    sandbox.state.faults.add({ path: CHECK, fault, appId: null, times: 2, skip: 0, after: false })
    await t.rejects(wechat.checkSession(SHOP, openId, sessionKey), { code: 'wechat_unavailable' }, `${errcode} twice`)
    t.equal(callsOf(CHECK), before + 2)
  }
})

test('parallel calls with a rejected token replace it once', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t, { latency: 10 })
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  await wechat.checkSession(SHOP, openId, sessionKey)
  sandbox.state.accessTokens.kill(SHOP.appId)
  const checks = Array.from({ length: 20 }, () => wechat.checkSession(SHOP, openId, sessionKey))
  t.same(new Set(await Promise.all(checks)), new Set([true]))
  t.equal(callsOf(STABLE), 2)
})

test('an instance with a rejected token takes the newer one of another instance', async (t) => {
  const { wechat, another, sandbox, callsOf, clock } = await buildWeChat(t)
  const second = another()
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  const dead = await wechat.apiTokens.get(SHOP)
  t.equal(await second.apiTokens.get(SHOP), dead)
  sandbox.state.accessTokens.kill(SHOP.appId)
  clock.advance(1000)
  await wechat.checkSession(SHOP, openId, sessionKey)
  t.equal(callsOf(STABLE), 2)
  t.equal(await second.checkSession(SHOP, openId, sessionKey), true)
  t.equal(callsOf(STABLE), 2, 'the newer token was in the store, and was not cleared with the dead one')
})

test('a token that WeChat returns again after rejecting it is used again', async (t) => {
  const { wechat, sandbox } = await buildWeChat(t)
  const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
  const fault = { kind: 'errcode', errcode: 40001 } as const
  sandbox.state.faults.add({ path: CHECK, fault, appId: null, times: 1, skip: 0, after: false })
  t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true)
})

test('with the store down or hanging, the token is kept in the process', async (t) => {
  const failures = {
    down: () => Promise.reject(new StoreError('down')),
    hanging: () => new Promise<never>(() => {})
  }
  for (const [what, fail] of Object.entries(failures)) {
    const { wechat, callsOf } = await buildWeChat(t, { store: brokenStore(fail), timeout: 1000 })
    const token = await wechat.apiTokens.get(SHOP)
    t.ok(token, what)
    t.equal(await wechat.apiTokens.get(SHOP), token)
    t.equal(callsOf(STABLE), 1)
    await wechat.apiTokens.invalidate(SHOP, token)
    t.ok(await wechat.apiTokens.get(SHOP))
  }
})

test('a lock whose holder died delays no caller beyond the timeout', async (t) => {
  const { wechat, store } = await buildWeChat(t, { timeout: 2_000 })
  // The clock is frozen, so this lock never expires.
  await store.set(`wechat:access-token-lock:${SHOP.appId}`, 'dead', 3600_000)
  t.ok(await wechat.apiTokens.get(SHOP))
})

const QUOTA = [
  [45009, 'rate_limited'],
  [45011, 'rate_limited'],
  [89503, 'wechat_misconfigured'],
  [89506, 'wechat_misconfigured'],
  [89507, 'wechat_misconfigured'],
  [40164, 'wechat_misconfigured'],
  [40125, 'wechat_misconfigured'],
  [-1, 'wechat_unavailable']
] as const

test('a refusal of the token is the error of the call; a lasting one is not requested again at once', async (t) => {
  for (const [errcode, code] of QUOTA) {
    const { wechat, sandbox, callsOf, clock } = await buildWeChat(t)
    const { openId, sessionKey } = await wechat.login(SHOP, 'sandbox-alice')
    const fault = { kind: 'errcode', errcode } as const
    sandbox.state.faults.add({ path: STABLE, fault, appId: null, times: 2, skip: 0, after: false })
    await t.rejects(wechat.checkSession(SHOP, openId, sessionKey), { code }, `${errcode}`)
    await t.rejects(wechat.checkSession(SHOP, openId, sessionKey), { code }, `${errcode} again`)
    t.equal(callsOf(STABLE), errcode === -1 ? 2 : 1)
    clock.advance(6000)
    if (errcode !== -1) await t.rejects(wechat.checkSession(SHOP, openId, sessionKey), { code })
    clock.advance(6000)
    t.equal(await wechat.checkSession(SHOP, openId, sessionKey), true, 'and later it works')
  }
})

test('an answer without a valid token is wechat_unavailable', async (t) => {
  const { wechat, sandbox, callsOf } = await buildWeChat(t, { timeout: 1_000 })
  for (const kind of ['html', 'empty', 'reset', 'array', 'hang'] as const) {
    sandbox.state.faults.add({ path: STABLE, fault: { kind }, appId: null, times: 1, skip: 0, after: false })
    await t.rejects(wechat.apiTokens.get(SHOP), { code: 'wechat_unavailable' }, kind)
  }
  t.equal(callsOf(STABLE), 5)
})

test('a wrong AppSecret is wechat_misconfigured, and a corrected one is tried at once', async (t) => {
  const { wechat } = await buildWeChat(t, { apps: [{ appid: SHOP.appId, secret: SHOP.secret }] })
  await t.rejects(wechat.apiTokens.get({ ...SHOP, secret: 'typo' }), { code: 'wechat_misconfigured' })
  t.ok(await wechat.apiTokens.get(SHOP))
  await t.rejects(wechat.login({ ...SHOP, secret: 'typo' }, 'sandbox-alice'), { code: 'wechat_misconfigured' })
  await t.rejects(wechat.login({ appId: 'wxother', secret: 'x' }, 'sandbox-alice'), { code: 'wechat_misconfigured' })
})
