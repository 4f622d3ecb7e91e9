/** The gateway with a failing store (W12): valid tokens are accepted for `sessions.storeGrace`,
 *  then a request that cannot be decided is refused; nothing waits without end, and it recovers by
 *  itself. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Test, t as tap, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { StoreError } from '../src/errors.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { openStore } from '../src/store/open.ts'
import { type ChaosProxy, startChaosProxy } from './support/chaos-proxy.ts'
import { createTestClock } from './support/clock.ts'
import { buildTestGateway, type TestGateway } from './support/gateway.ts'
import { enter, logout, nextReading, post, read, refresh, verdict, watchCalls } from './support/instances.ts'
import { type RedisServer, startRedis } from './support/redis.ts'
import { quietLog } from './support/store.ts'
import { PATIENCE, until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

/** Milliseconds that pass only on the clock of a test. */
const GRACE = 600_000
/** Milliseconds for every operation of the store, long enough for a Redis on a busy machine. */
const DEADLINE = 1_500
/** A file that no other process has locked needs none of it. */
const SQLITE_DEADLINE = 200

tap.jobs = 3

const config = { sessions: { storeGrace: '10m' } }

async function openWithDeadline(t: Test, url: string, timeout = DEADLINE) {
  const store = await openStore(url, { clock: systemClock, log: quietLog(), timeout })
  t.teardown(() => store.close())
  return store
}

const metric = async (gateway: TestGateway, name: string) =>
  Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(await (await gateway.service('/metrics')).text())?.[1])

const readiness = async (gateway: TestGateway) => {
  const response = await gateway.call('/readyz?verbose')
  return { code: response.status, ...((await response.json()) as { status: string; checks: { store: string } }) }
}

/** Every call that needs the store reports its failure. */
async function assertStoreIsMissed(t: Test, gateway: TestGateway, refreshToken: string): Promise<void> {
  const calls = [
    ['/auth/login', { code: `sandbox-carol-${Math.random().toString(36).slice(2)}` }],
    ['/auth/refresh', { refresh_token: refreshToken }]
  ] as const
  // Each may wait for the deadline of the store.
  const answers = await Promise.all(calls.map(([path, body]) => post(gateway, path, body)))
  for (const [index, answer] of answers.entries()) {
    t.match(answer, { status: 503, code: 'store_unavailable' }, calls[index]?.[0] ?? '')
    t.match(JSON.parse(answer.text), { action: 'retry' })
  }
}

/** Routes that need neither a credential nor the store. */
async function assertOthersGoOn(t: Test, gateway: TestGateway): Promise<void> {
  for (const path of ['/public', '/maybe', '/livez']) t.equal((await gateway.call(path)).status, 200, path)
  t.equal(await verdict(gateway, 'a.b.c'), 'token_invalid', 'decidable requests are decided')
  t.equal((await read(await gateway.call('/api'))).code, 'token_missing')
}

interface Trouble {
  begin(): unknown
  end(): unknown
}

type Setting = (server: RedisServer, proxy: ChaosProxy) => Trouble

const troubles: Record<string, Setting> = {
  'a stopped Redis': (server) => ({ begin: () => server.pause(), end: () => server.resume() }),
  'a killed and restarted Redis': (server) => ({ begin: () => server.kill(), end: () => server.start() }),
  'a black hole before Redis': (_server, proxy) => ({
    begin() {
      proxy.mode = { kind: 'blackHole' }
    },
    end() {
      proxy.mode = { kind: 'none' }
    }
  })
}

for (const [name, setting] of Object.entries(troubles)) {
  test(`${name}: tokens are accepted for the grace, then refused; it recovers by itself`, {
    buffered: true
  }, async (t) => {
    const server = await startRedis(t, '--appendonly', 'yes', '--appendfsync', 'always')
    if (!server) return
    const proxy = await startChaosProxy(t, server.port)
    const trouble = setting(server, proxy)
    const upstream = await startUpstream(t)
    const store = await openWithDeadline(t, `redis://127.0.0.1:${proxy.port}`)
    const clock = createTestClock()
    const gateway = await buildTestGateway(t, upstream.url, { store, config, clock })
    const [alice, bob] = [await enter(gateway, 'alice'), await enter(gateway, 'bob')]
    t.equal(await verdict(gateway, alice.access_token), '200')
    t.equal(await logout(gateway, bob.access_token), 204)

    await trouble.begin()
    await assertStoreIsMissed(t, gateway, alice.refresh_token)
    t.equal(await verdict(gateway, alice.access_token), '200', 'within the grace')
    clock.advance(GRACE)
    await until(async () => (await verdict(gateway, alice.access_token)) !== '200')
    t.equal(await verdict(gateway, alice.access_token), 'store_unavailable', 'after the grace')
    t.equal(await verdict(gateway, bob.access_token), 'session_revoked', 'known sessions stay known')
    const maybe = await read(await gateway.call('/maybe', { token: alice.access_token }))
    t.equal(maybe.code, 'store_unavailable', 'a credential that cannot be decided is not ignored silently')
    await assertOthersGoOn(t, gateway)
    await assertStoreIsMissed(t, gateway, alice.refresh_token)
    t.match(await readiness(gateway), { code: 503, status: 'degraded', checks: { store: 'away' } })
    t.equal(await metric(gateway, 'wxgate_store_trusted'), 0)
    t.ok((await metric(gateway, 'wxgate_store_feed_age_seconds')) >= GRACE / 1000)

    await trouble.end()
    await until(async () => (await verdict(gateway, alice.access_token)) === '200')
    t.equal((await readiness(gateway)).code, 200)
    t.equal(await metric(gateway, 'wxgate_store_trusted'), 1)
    t.equal(await verdict(gateway, bob.access_token), 'session_revoked')
    // A first operation may be later than the deadline while Redis reads its file and the machine
    // is busy.
    await until(async () => (await refresh(gateway, alice.refresh_token)).status === 200)
    await until(async () => (await enter(gateway, 'dave')).status === 200)
  })
}

test('a session ended elsewhere while an instance was cut off is refused by it from the first decision on', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const proxy = await startChaosProxy(t, server.port)
  const upstream = await startUpstream(t)
  const clock = createTestClock()
  const a = await buildTestGateway(t, upstream.url, {
    config,
    clock,
    store: await openWithDeadline(t, `redis://127.0.0.1:${proxy.port}`)
  })
  const b = await buildTestGateway(t, upstream.url, { config, store: await openWithDeadline(t, server.url) })
  const login = await enter(a, 'alice')
  t.equal(await verdict(a, login.access_token), '200')
  proxy.mode = { kind: 'blackHole' }
  clock.advance(GRACE)
  await until(async () => (await verdict(a, login.access_token)) === 'store_unavailable')
  t.equal(await logout(b, login.access_token), 204)
  proxy.mode = { kind: 'none' }
  const seen = new Set<string>()
  await until(async () => seen.add(await verdict(a, login.access_token)).has('session_revoked'))
  seen.delete('store_unavailable')
  t.same(seen, new Set(['session_revoked']), 'no call is answered as if the session were alive')
})

test('a slow Redis delays its own calls, and not a request with a token', { buffered: true }, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const proxy = await startChaosProxy(t, server.port)
  const upstream = await startUpstream(t)
  const { store, calls } = watchCalls(await openWithDeadline(t, `redis://127.0.0.1:${proxy.port}`, PATIENCE))
  const gateway = await buildTestGateway(t, upstream.url, { store, config })
  const login = await enter(gateway, 'alice')
  proxy.mode = { kind: 'latency', ms: 100 }
  t.equal((await enter(gateway, 'bob')).status, 200)
  const before = calls.total
  for (let index = 0; index < 10; index++) t.equal(await verdict(gateway, login.access_token), '200')
  t.equal(calls.total, before)
  t.equal((await readiness(gateway)).code, 200)
})

test('without a Redis at the start the gateway serves requests that need none, and is ready when Redis is', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  await server.kill()
  const upstream = await startUpstream(t)
  const store = await openWithDeadline(t, server.url)
  const gateway = await buildTestGateway(t, upstream.url, { store, config, isStarting: true })
  const ready = gateway.gateway.ready()
  await assertOthersGoOn(t, gateway)
  t.match(await enter(gateway, 'alice'), { status: 503, code: 'store_unavailable' })
  t.equal((await readiness(gateway)).code, 503)
  await server.start()
  await ready
  t.equal((await readiness(gateway)).code, 200)
  t.equal((await enter(gateway, 'alice')).status, 200)
})

test('a SQLite file locked by another process fails logins, and no request', { buffered: true }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'wxgate.db')
  const upstream = await startUpstream(t)
  const clock = createTestClock()
  const { store, calls } = watchCalls(await openWithDeadline(t, `sqlite:${file}`, SQLITE_DEADLINE))
  const gateway = await buildTestGateway(t, upstream.url, { store, config, clock })
  const login = await enter(gateway, 'alice')
  const tool = new DatabaseSync(file)
  t.teardown(() => tool.close())
  tool.exec('BEGIN IMMEDIATE')
  await assertStoreIsMissed(t, gateway, login.refresh_token)
  await assertOthersGoOn(t, gateway)
  t.equal(await logout(gateway, login.access_token), 503)
  const locked = await readiness(gateway)
  t.equal(locked.code, 200)
  t.equal(locked.checks.store, 'degraded', 'the failing part is named')
  t.ok((await metric(gateway, 'wxgate_store_errors_total\\{operation="setIfAbsent"\\}')) > 0)
  clock.advance(GRACE)
  await nextReading({ calls })
  // The feed can still be read, so no end is unknown.
  t.equal(await verdict(gateway, login.access_token), '200')
  tool.exec('ROLLBACK')
  t.equal((await refresh(gateway, login.refresh_token)).status, 200)
  t.equal((await readiness(gateway)).checks.store, 'ok')
  t.equal(await logout(gateway, login.access_token), 204)
  t.equal(await verdict(gateway, login.access_token), 'session_revoked')
})

test('the grace is counted from the last whole reading', { buffered: true }, async (t) => {
  const clock = createTestClock()
  const interception: { before: (() => unknown) | null } = { before: null }
  const { store, calls } = watchCalls(createMemoryStore({ clock, log: quietLog() }), interception)
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { clock, store, config: { sessions: { storeGrace: '1m' } } })
  const login = await enter(gateway, 'alice')
  interception.before = () => {
    throw new StoreError('away')
  }
  clock.advance(50_000)
  await nextReading({ calls })
  t.equal(await verdict(gateway, login.access_token), '200')
  t.match(await readiness(gateway), { code: 200, checks: { store: 'degraded' } })
  clock.advance(10_000)
  await nextReading({ calls })
  t.equal(await verdict(gateway, login.access_token), 'store_unavailable')
  t.match(await readiness(gateway), { code: 503, status: 'degraded', checks: { store: 'away' } })
  interception.before = null
  await nextReading({ calls })
  t.equal(await verdict(gateway, login.access_token), '200')
  const lines = gateway.lines.filter((line) => line.includes('"msg":"the store'))
  t.equal(lines.length, 3, 'one line at the failure, one at the end of the grace, one at the recovery')
})
