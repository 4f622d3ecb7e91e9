/** Another state of the store, after a failover, a restored backup or a replaced file, brings no
 *  ended session back. */
import { copyFileSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { createRevocations } from '../src/identity/revocations.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { APPID, buildTestGateway, type TestGateway } from './support/gateway.ts'
import { enter, logout, nextReading, post, refresh, watchCalls } from './support/instances.ts'
import { askRedis, startRedis } from './support/redis.ts'
import { quietLog } from './support/store.ts'
import { until } from './support/until.ts'

const HOUR = 3_600_000
const UPSTREAM = 'http://127.0.0.1:9'

async function open(
  t: Test,
  url: string,
  options: { waitReplicas?: number; timeout?: number; mustExist?: boolean } = {}
) {
  const log = quietLog()
  const store = await openStore(url, { clock: systemClock, log, ...options })
  t.teardown(() => store.close())
  return { store, log }
}

/** As a process that starts now: it knows what the feed holds, and nothing else. */
async function follow(t: Test, store: Store) {
  const options = { store, clock: systemClock, log: quietLog(), accessTtl: 2 * HOUR, grace: HOUR }
  const revocations = createRevocations(options)
  t.teardown(() => revocations.stop())
  await revocations.start()
  return revocations
}

interface Ended {
  readonly gateway: TestGateway
  /** Ended by logout, and by an end of all sessions. */
  readonly tokens: readonly string[]
  readonly sessions: readonly {
    readonly id: string
    readonly appId: string
    readonly openId: string
    readonly epoch: number
  }[]
}

/** Alice logs out and Bob ends all sessions, with `remember` between their logins and that. */
async function endSessions(t: Test, store: Store, remember: () => Promise<void>): Promise<Ended> {
  const gateway = await buildTestGateway(t, UPSTREAM, { store })
  const [alice, bob] = [await enter(gateway, 'alice'), await enter(gateway, 'bob')]
  await remember()
  t.equal(await logout(gateway, alice.access_token), 204)
  t.equal(await logout(gateway, bob.access_token, { all: true }), 204)
  const idOf = ({ refresh_token }: { refresh_token: string }) => refresh_token.split('.')[2] ?? ''
  const { people } = gateway.sandbox.state
  const sessions = [
    { id: idOf(alice), appId: APPID, openId: people.person(APPID, 'alice').openId, epoch: 0 },
    { id: idOf(bob), appId: APPID, openId: people.person(APPID, 'bob').openId, epoch: 0 }
  ]
  return { gateway, tokens: [alice.refresh_token, bob.refresh_token], sessions }
}

/** A new process refuses the tokens that the other one knows to have ended. */
async function assertEnded(t: Test, store: Store, { sessions, tokens }: Ended): Promise<void> {
  const fresh = await follow(t, store)
  await until(() => sessions.every((session) => fresh.hasEnded(session)))
  const other = await buildTestGateway(t, UPSTREAM, { store })
  for (const token of tokens) t.equal((await refresh(other, token)).code, 'refresh_invalid')
  // The record is mended as well.
  await until(async () => (await store.get(`session:${sessions[0]?.id}`)) === undefined)
}

test('a Redis that comes back with an older state gets the ends of sessions again', async (t) => {
  const redis = await startRedis(t)
  if (redis === null) return
  const { store } = await open(t, redis.url)
  const { store: other } = await open(t, redis.url)
  const ended = await endSessions(t, store, async () => {
    t.match(await askRedis(redis.port, 'SAVE'), /OK/)
  })
  await redis.kill()
  // It loads the state that was saved between login and logout.
  await redis.start()
  await assertEnded(t, other, ended)
  t.ok(ended.gateway.lines.some((line) => line.includes('ends_restored')))
})

test('a Redis that only dropped the connection gets nothing again', async (t) => {
  const redis = await startRedis(t)
  if (redis === null) return
  const { store } = await open(t, redis.url)
  const watched = watchCalls(store)
  const { gateway } = await endSessions(t, watched.store, async () => {})
  const length = await askRedis(redis.port, 'XLEN wxgate:feed')
  await askRedis(redis.port, 'CLIENT KILL TYPE normal')
  const revocations = await follow(t, store)
  t.equal(revocations.size, 2)
  for (let reading = 0; reading < 2; reading++) await nextReading(watched)
  t.equal(await askRedis(redis.port, 'XLEN wxgate:feed'), length)
  t.notOk(gateway.lines.some((line) => line.includes('ends_restored')))
})

test('waitReplicas answers the end of a session only once replicas have it', async (t) => {
  const master = await startRedis(t, '--repl-diskless-sync-delay', '0')
  const replica = master && (await startRedis(t, '--replicaof', '127.0.0.1', String(master.port)))
  if (master === null || replica === null) return
  await until(async () => /state=online/.test(await askRedis(master.port, 'INFO replication')))
  await until(async () => /master_link_status:up/.test(await askRedis(replica.port, 'INFO replication')))
  // The default is short for a replica on a busy machine.
  const { store } = await open(t, master.url, { waitReplicas: 1, timeout: 2_000 })
  const gateway = await buildTestGateway(t, UPSTREAM, { store })
  const [first, second] = [await enter(gateway, 'alice'), await enter(gateway, 'alice')]
  t.equal(await logout(gateway, first.access_token), 204)
  t.match(await askRedis(replica.port, 'XLEN wxgate:feed'), /:1/)
  await replica.kill()
  t.match(await post(gateway, '/auth/logout', {}, second.access_token), { status: 503, code: 'store_unavailable' })
  t.equal((await enter(gateway, 'alice')).status, 200, 'a login waits for no replica')
})

test('a SQLite file that is replaced is noticed, opened, and gets the ends of sessions again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [file, backup] = [join(folder, 'store.db'), join(folder, 'backup.db')]
  const { store, log } = await open(t, `sqlite:${file}`)
  const ended = await endSessions(t, store, async () => {
    for (const side of ['', '-wal', '-shm']) copyFileSync(file + side, backup + side)
  })
  for (const side of ['-wal', '-shm', '']) renameSync(backup + side, file + side)
  await until(() =>
    store.get('x').then(
      () => true,
      () => false
    )
  )
  t.ok(log.lines.some((line) => line.includes('is not the one that was opened')))
  const { store: other } = await open(t, `sqlite:${file}`)
  await assertEnded(t, other, ended)
})

test('a SQLite file that was removed is store_unavailable until it is back, and a replaced worker makes no empty one', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [file, away] = [join(folder, 'store.db'), join(folder, 'away.db')]
  const { store, log } = await open(t, `sqlite:${file}`)
  const gateway = await buildTestGateway(t, UPSTREAM, { store })
  const login = await enter(gateway, 'alice')
  for (const side of ['', '-wal', '-shm']) renameSync(file + side, away + side)
  t.equal((await refresh(gateway, login.refresh_token)).code, 'store_unavailable')
  await t.rejects(store.set('a', 'x', HOUR), { name: 'StoreError', message: /was removed/ })
  t.equal(log.lines.filter((line) => line.includes('is not the one that was opened')).length, 1, 'logged once')
  await t.rejects(openStore(`sqlite:${file}`, { clock: systemClock, log, mustExist: true }), { name: 'StoreError' })
  await t.rejects(store.get('a'), { name: 'StoreError' }, 'nothing was made')
  for (const side of ['-wal', '-shm', '']) renameSync(away + side, file + side)
  t.equal((await refresh(gateway, login.refresh_token)).status, 200, 'the same file goes on')
})
